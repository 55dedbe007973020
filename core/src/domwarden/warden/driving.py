"""The processes that drive a warden's moves, of which one may wait for the next."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from domwarden.journal import DomainRecord
from domwarden.migration import Hub
from domwarden.migration.request import Request, Result, drive
from domwarden.migration.spare import Spare


class Drivers:
    """Has moves driven by processes of their own, which survive this one.

    With ``keep`` one waits for the next move all the time; ``spare`` is one that waits already.
    """

    def __init__(self, hub: Hub, spare: Spare | None, *, keep: bool) -> None:
        self._hub = hub
        self._spare = spare
        self._keep = keep
        self._starting = False

    async def begin(self) -> None:
        """Start the one that waits, if one shall."""
        if self._keep and self._spare is None:
            await self._start()

    async def end(self) -> None:
        """End the one that waits; none that drives is touched."""
        spare, self._spare = self._spare, None
        if spare is not None:
            await asyncio.to_thread(spare.discard)

    async def drive(self, request: Request) -> Result:
        """Have a process of its own do it, the one that waits if there is one."""
        spare, self._spare = self._spare, None
        try:
            return await drive(request, self._hub.observe, spare=spare)
        finally:
            if self._keep:
                await self._start()

    async def _start(self) -> None:
        """Start a driver for the next move, with the drivers of the domains that were ever here.

        Where several moves end, one of them starts it.
        """
        if self._starting:
            return
        self._starting = True
        try:
            records = await self._hub.site.journal.domains()
            if self._spare is None:
                self._spare = spare = await asyncio.to_thread(Spare.start)
                await asyncio.to_thread(spare.load, _drivers(records))
        finally:
            self._starting = False


def _drivers(records: Iterable[DomainRecord]) -> set[tuple[str, str]]:
    """Return the drivers of these domains, by kind and name."""
    found = set()
    for definition in (record.definition for record in records if record.definition is not None):
        found.add(("engine", definition.engine))
        found |= {("device", entry.driver) for entry in definition.devices}
        if definition.watchdog is not None:
            found.add(("watchdog", definition.watchdog.driver))
    return found

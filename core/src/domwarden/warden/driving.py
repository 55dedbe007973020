"""The processes that drive a warden's moves, of which one may wait for the next."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable

from domwarden.contract import DomwardenError
from domwarden.journal import DomainRecord
from domwarden.migration import Hub
from domwarden.migration.request import Request, Result, drive
from domwarden.migration.spare import Spare

#: Whoever waits for a move's end hears of it before the next driver takes the processor to load.
PAUSE_SECONDS = 0.25


class Drivers:
    """Has moves driven by processes of their own, which survive this one.

    With ``keep`` one waits for the next move all the time; ``spare`` is one that waits already.
    """

    def __init__(self, hub: Hub, spare: Spare | None, *, keep: bool) -> None:
        self._hub = hub
        self._spare = spare
        self._keep = keep
        self._starting: asyncio.Task[None] | None = None
        self._ending = asyncio.Event()

    async def begin(self) -> None:
        """Start the one that waits, if one shall."""
        if self._keep and self._spare is None:
            await self._start()

    async def end(self) -> None:
        """End the one that waits; none that drives is touched."""
        self._ending.set()
        if self._starting is not None:
            await self._starting
        spare, self._spare = self._spare, None
        if spare is not None:
            await asyncio.to_thread(spare.discard)

    async def drive(self, request: Request) -> Result:
        """Have a process of its own do it, the one that waits if there is one."""
        spare, self._spare = self._spare, None
        try:
            return await drive(request, self._hub.observe, spare=spare)
        finally:
            starts = self._starting is not None and not self._starting.done()
            if self._keep and not starts and not self._ending.is_set():
                self._starting = asyncio.create_task(self._start_again(), name="next driver")

    async def _start_again(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PAUSE_SECONDS):
                await self._ending.wait()
                return
        with contextlib.suppress(DomwardenError, OSError):  # the next move starts its own
            await self._start()

    async def _start(self) -> None:
        """Start a driver for the next move, with the drivers of the domains that were ever here."""
        records = await self._hub.site.journal.domains()
        if self._spare is None:
            self._spare = spare = await asyncio.to_thread(Spare.start)
            await asyncio.to_thread(spare.load, _drivers(records))


def _drivers(records: Iterable[DomainRecord]) -> set[tuple[str, str]]:
    """Return the drivers of these domains, by kind and name."""
    found = set()
    for definition in (record.definition for record in records if record.definition is not None):
        found.add(("engine", definition.engine))
        found |= {("device", entry.driver) for entry in definition.devices}
        if definition.watchdog is not None:
            found.add(("watchdog", definition.watchdog.driver))
    return found

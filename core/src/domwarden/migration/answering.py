"""Answers one client to its end, then settles what it left unfinished."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable

from domwarden.contract import DomwardenError, End, Movement
from domwarden.migration.hub import Hub
from domwarden.migration.patience import keep_trying
from domwarden.migration.serving import Serving

#: A client whose connection was cut comes back at once, and then settles the move itself.
FIRST_TRY_SECONDS = 5.0


async def answer(hub: Hub, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> set[str]:
    """Open a host and answer for it; returns the domains whose move here is not finished."""
    try:
        async with hub:
            serving = Serving(hub, reader, writer)
            await serving.run()
            left = [
                record.domain
                for record in await hub.site.journal.unfinished()
                if record.id in serving.moves
                and record.role is End.DESTINATION
                and record.movement is Movement.MIGRATE
            ]
        return set(left)
    finally:
        writer.close()


async def stay(make_hub: Callable[[], Hub], domains: Iterable[str]) -> None:
    """Settle what a client that is gone has left, for a while: no held copy waits for nobody."""
    await asyncio.sleep(FIRST_TRY_SECONDS)
    await asyncio.gather(*(_settle(make_hub, domain) for domain in domains))


async def _settle(make_hub: Callable[[], Hub], domain: str) -> None:
    with contextlib.suppress(DomwardenError, OSError):  # the next verb will meet it
        await keep_trying(make_hub, domain)

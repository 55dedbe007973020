"""Tries again, for a while, what neither end of a move could settle yet."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from domwarden.contract import DomwardenError
from domwarden.migration.outcome import Outcome

if TYPE_CHECKING:
    from domwarden.migration.hub import Hub

#: The first try is soon, and each next one twice as late, up to the longest pause.
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
#: Afterwards only the next verb tries again: somebody has to look.
PATIENCE_SECONDS = 3600.0


async def keep_trying(make_hub: Callable[[], Hub], domain: str) -> None:
    """Settle a domain's moves until none of them waits: no suspended guest waits for nobody.

    Each try opens the journals anew, so that nothing is held while it waits. Raises what the last
    try raised, when patience is at its end.
    """
    pause_seconds, waited_seconds = FIRST_PAUSE_SECONDS, 0.0
    while True:
        last_try = waited_seconds >= PATIENCE_SECONDS
        try:
            async with make_hub() as hub:
                settled = await hub.settle(domain or None)
            again = any(one.outcome is Outcome.WAITING or one.failed for one in settled)
            if last_try or not again:
                return
        except (DomwardenError, OSError):  # a disk may come back, and a guest may stand still
            if last_try:
                raise
        await asyncio.sleep(pause_seconds)
        waited_seconds += pause_seconds
        pause_seconds = min(2 * pause_seconds, LONGEST_PAUSE_SECONDS)

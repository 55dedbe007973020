"""Reads new watchdog expiries from the journal, where supervisors write them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable

from domwarden.contract import DomwardenError, Expiry
from domwarden.service.events import Bus, Follower
from domwarden.service.routes import Event
from domwarden.warden import Looks

logger = logging.getLogger(__name__)

INTERVAL_SECONDS = 0.5
#: So many are read at once.
BATCH = 256


async def watch(looks: Looks, bus: Bus, count: Callable[[Expiry], None]) -> None:
    """Tell every expiry that is recorded from now on, for ever."""
    last = -1
    while True:
        try:
            if last < 0:
                last = await looks.newest_expiry()
            for number, expiry in await looks.expiries_after(last, BATCH):
                last = number
                count(expiry)
                bus.tell(Event("expiry", expiry.as_json(), number))
        except DomwardenError as error:
            logger.warning("new expiries cannot be read: %s", error)
        await asyncio.sleep(INTERVAL_SECONDS)


async def follow(looks: Looks, follower: Follower, after: int) -> AsyncIterator[Event]:
    """Yield what a follower hears; with a number, first the expiries after that one."""
    while after and (found := await looks.expiries_after(after, BATCH)):
        for number, expiry in found:
            after = number
            yield Event("expiry", expiry.as_json(), number)
    async for event in follower.events():
        if event.kind != "expiry" or event.number > after:
            yield event

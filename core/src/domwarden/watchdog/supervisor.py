"""Follows one domain's events: records each expiry, tells the devices, does what is left to do."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from domwarden.contract import (
    Definition,
    DomwardenError,
    Engine,
    Event,
    EventKind,
    Expiry,
    RunState,
)
from domwarden.journal import Journal
from domwarden.watchdog.escalation import response

logger = logging.getLogger(__name__)

#: A lost connection to a domain that is still here is made again after this long.
RECONNECT_SECONDS = 1.0
#: A domain is alive while the engine sees it in one of these.
HERE = frozenset(set(RunState) - {RunState.ABSENT, RunState.ENDED})

Tell = Callable[[Expiry], Awaitable[None]]


async def supervise(engine: Engine, journal: Journal, definition: Definition, tell: Tell) -> None:
    """Follow the domain until it is gone from this host; ``tell`` hands each expiry to its devices.

    The hypervisor acts by itself; what is recorded and done here comes on top of that.
    """
    name = definition.name
    while True:
        async for event in engine.events(name):
            if event.kind is EventKind.WATCHDOG:
                await _expired(engine, journal, definition, event, tell)
        if (await engine.observe(name)).state not in HERE:
            return
        await asyncio.sleep(RECONNECT_SECONDS)


async def _expired(
    engine: Engine, journal: Journal, definition: Definition, event: Event, tell: Tell
) -> None:
    entry = definition.watchdog
    if entry is None:
        logger.warning("%s: a watchdog fired that its definition does not have", definition.name)
        return
    detail = str(event.data.get("detail") or event.data.get("action") or "")
    expiry = Expiry(definition.name, entry.driver, entry.action, event.at, detail)
    await journal.record_expiry(expiry)
    history = await journal.expiries(definition.name)
    action = response(entry, history, expiry.at, engine.SUPERVISED)
    if action is not None:
        try:
            await engine.act(definition.name, action)
        except DomwardenError as error:
            logger.warning("%s: %s after an expiry failed: %s", definition.name, action, error)
    await tell(expiry)

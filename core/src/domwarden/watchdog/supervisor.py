"""Follows one domain's events: records each expiry, tells the devices, does what is left to do."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

from domwarden.contract import (
    Definition,
    DomwardenError,
    Engine,
    EngineError,
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
#: Whether the domain is still here is asked this often while nothing is heard.
LOOK_SECONDS = 10.0
#: A domain is alive while the engine sees it in one of these.
HERE = frozenset(set(RunState) - {RunState.ABSENT, RunState.ENDED})

Tell = Callable[[Expiry], Awaitable[None]]


async def supervise(engine: Engine, journal: Journal, definition: Definition, tell: Tell) -> None:
    """Follow the domain until it is gone from this host; ``tell`` hands each expiry to its devices.

    The hypervisor acts by itself; what is recorded and done here comes on top of that.
    """
    name = definition.name
    while True:
        try:
            async with contextlib.aclosing(_while_here(engine, name)) as events:
                async for event in events:
                    if event.kind is EventKind.WATCHDOG:
                        await _expired(engine, journal, definition, event, tell)
        except EngineError as error:
            logger.warning("%s: its events cannot be followed: %s", name, error)
        if not await _here(engine, name):
            return
        await asyncio.sleep(RECONNECT_SECONDS)


async def _here(engine: Engine, name: str) -> bool:
    return (await engine.observe(name)).state in HERE


async def _while_here(engine: Engine, name: str) -> AsyncGenerator[Event, None]:
    """Yield the domain's events; ends with them, or once a look finds the domain gone.

    Whoever waits for events that never come would hold the place of a supervisor for ever, and the
    domain's next stay on this host would be followed by nobody.
    """
    events = engine.events(name)
    coming: asyncio.Task[Event | None] | None = None
    try:
        while True:
            if coming is None:
                coming = asyncio.create_task(_next(events), name=f"{name}/supervisor/event")
            await asyncio.wait({coming}, timeout=LOOK_SECONDS)
            if coming.done():
                event, coming = coming.result(), None
                if event is None:
                    return
                yield event
            elif not await _here(engine, name):
                return
    finally:
        if coming is not None:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)


async def _next(events: AsyncIterator[Event]) -> Event | None:
    return await anext(events, None)


async def _expired(
    engine: Engine, journal: Journal, definition: Definition, event: Event, tell: Tell
) -> None:
    entry = definition.watchdog
    if entry is None:
        logger.warning("%s: a watchdog fired that its definition does not have", definition.name)
        return
    detail = str(event.data.get("detail") or event.data.get("action") or "")
    expiry = Expiry(definition.name, entry.driver, entry.action, event.at, detail)
    history = [expiry]
    try:
        await journal.record_expiry(expiry)
        history = await journal.expiries(definition.name)
    except DomwardenError as error:
        # A guest that the hypervisor paused for us must not stay so for want of a record.
        logger.warning("%s: an expiry is not recorded: %s", definition.name, error)
    action = response(entry, history, expiry.at, engine.SUPERVISED)
    if action is not None:
        try:
            await engine.act(definition.name, action)
        except DomwardenError as error:
            logger.warning("%s: %s after an expiry failed: %s", definition.name, action, error)
    await tell(expiry)

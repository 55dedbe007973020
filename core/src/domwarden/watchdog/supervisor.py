"""Follows one domain's events: records each expiry, tells the devices, does what is left to do."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

from domwarden.contract import (
    Action,
    Definition,
    DomwardenError,
    Engine,
    EngineError,
    Event,
    EventKind,
    Expiry,
    RunState,
    WatchdogEntry,
)
from domwarden.journal import Journal
from domwarden.watchdog.escalation import response

logger = logging.getLogger(__name__)

#: A lost connection to a domain that is still here is made again after this long.
RECONNECT_SECONDS = 1.0
#: Whether the domain is still here is asked this often while nothing is heard.
LOOK_SECONDS = 10.0
#: How often a hypervisor that does not tell is asked, before an action is given up.
LOOKS = 60
#: A domain is alive while the engine sees it in one of these.
HERE = frozenset(set(RunState) - {RunState.ABSENT, RunState.ENDED})

#: What an action may be done to; any other state belongs to a move.
AT_REST = frozenset({RunState.RUNNING, RunState.PAUSED})

Tell = Callable[[Expiry], Awaitable[None]]
#: Entered once nobody else acts on the domain; it waits for a move or a verb to end.
Turn = Callable[[], contextlib.AbstractAsyncContextManager[None]]


async def supervise(
    engine: Engine, journal: Journal, definition: Definition, tell: Tell, turn: Turn
) -> None:
    """Follow the domain until it is gone from this host; ``tell`` hands each expiry to its devices.

    The hypervisor acts by itself; what is recorded and done here comes on top of that.
    """
    name = definition.name
    while True:
        async with asyncio.TaskGroup() as responses:
            try:
                async with contextlib.aclosing(_while_here(engine, name)) as events:
                    async for event in events:
                        if event.kind is not EventKind.WATCHDOG:
                            continue
                        if (entry := definition.watchdog) is None:
                            logger.warning("%s: a watchdog fired that it does not have", name)
                            continue
                        expiry, action = await _recorded(engine, journal, name, entry, event)
                        # Beside the next events: an engine whose hypervisor does not act by itself
                        # acts when it is asked for them, and the response waits for that.
                        responses.create_task(
                            _respond(engine, expiry, action, tell, turn), name=f"{name}/response"
                        )
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


async def _recorded(
    engine: Engine, journal: Journal, name: str, entry: WatchdogEntry, event: Event
) -> tuple[Expiry, Action | None]:
    """Write an expiry down; return it with what is still to be done after it."""
    detail = str(event.data.get("detail") or event.data.get("action") or "")
    expiry = Expiry(name, entry.driver, entry.action, event.at, detail)
    history = [expiry]
    try:
        await journal.record_expiry(expiry)
        history = await journal.expiries(name)
    except DomwardenError as error:
        # A guest that the hypervisor paused for us must not stay so for want of a record.
        logger.warning("%s: an expiry is not recorded: %s", name, error)
    return expiry, response(entry, history, expiry.at, engine.SUPERVISED)


async def _respond(
    engine: Engine, expiry: Expiry, action: Action | None, tell: Tell, turn: Turn
) -> None:
    """Do what is left to do, then tell the devices."""
    if action is not None:
        try:
            await _act(engine, expiry.domain, action, turn)
        except DomwardenError as error:
            logger.warning("%s: %s after an expiry failed: %s", expiry.domain, action, error)
    await tell(expiry)


async def _told(engine: Engine, name: str) -> RunState:
    """Look until the hypervisor tells, for a while: somebody else may have its ear."""
    state = RunState.UNKNOWN
    for _ in range(LOOKS):
        state = (await engine.observe(name)).state
        if state is not RunState.UNKNOWN:
            break
        await asyncio.sleep(RECONNECT_SECONDS)
    return state


async def _act(engine: Engine, name: str, action: Action, turn: Turn) -> None:
    """Act on a domain that is here, with nobody else acting: a move may have taken it away."""
    async with turn():
        state = await _told(engine, name)
        if state in AT_REST:
            await engine.act(name, action)
        else:
            logger.warning("%s: no %s after an expiry: it is %s here", name, action, state)

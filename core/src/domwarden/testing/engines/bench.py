"""What the engine contract kit runs on, and how it finds its checks."""

from __future__ import annotations

import asyncio
import dataclasses
import enum
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol, TypeVar

from domwarden.contract import (
    Address,
    Definition,
    Engine,
    Event,
    EventKind,
    Incoming,
    Outgoing,
    Progress,
    Room,
    RunState,
)


class Feature(enum.StrEnum):
    """What a bench may lack; it says so, and the checks that need it are left out."""

    UNKNOWN = "unknown"
    #: Moves to ``{"file": path}`` and back.
    SAVE = "save"
    #: ``start(held=True)``.
    HELD_START = "held-start"
    #: The guest can be told to power off, and does.
    GRACEFUL_STOP = "graceful-stop"
    #: The guest's own clock stands still while the domain is paused.
    PAUSED_CLOCK = "paused-clock"
    #: The definition has a watchdog with action reset, and ``guard`` and ``hang`` work.
    WATCHDOG = "watchdog"
    #: ``read_watchdog`` tells armed and time left.
    READ_WATCHDOG = "read-watchdog"


class EngineBench(Protocol):
    """Two hosts with one engine each, a definition, and a hand inside the guest."""

    source: Engine
    destination: Engine
    #: As from a file: not realized; its ``migration`` lets a quiet guest converge.
    definition: Definition
    #: An empty directory for saves.
    directory: Path

    def room(self, engine: Engine) -> Room:
        """Return the definition's devices on that engine's host, ready to start with."""

    async def answers(self, engine: Engine) -> bool:
        """Ask the guest there for a sign of life, and wait for it as long as a live one needs."""

    async def uptime(self, engine: Engine) -> float:
        """Return how many seconds the guest there has run since it booted, by its own clock."""

    async def guard(self, engine: Engine, timeout_seconds: int) -> None:
        """Make the guest arm its watchdog and kick it in time."""

    async def hang(self, engine: Engine) -> None:
        """Make the guest hang with interrupts off."""

    async def pass_seconds(self, seconds: float) -> None:
        """Let time pass for guests and hosts."""

    def now_seconds(self) -> float:
        """Return what the clock shows by which that time passes; only differences count."""


Maker = Callable[[], AbstractAsyncContextManager[EngineBench]]
Check = Callable[[Maker], Awaitable[None]]

#: Steps of the engine that are not the guest's own time are waited for at most this long.
LIMIT_SECONDS = 60.0
_T = TypeVar("_T")
_NEEDS: dict[Check, frozenset[Feature]] = {}


def engine_checks(missing: Collection[Feature] = ()) -> list[Check]:
    """Return every check that needs none of the missing features."""
    return [check for check, needs in _NEEDS.items() if not needs.intersection(missing)]


def needs(*features: Feature) -> Callable[[Check], Check]:
    """Register a check, and what it needs."""

    def note(check: Check) -> Check:
        _NEEDS[check] = frozenset(features)
        return check

    return note


class BrokenPromiseError(AssertionError):
    """The engine did not keep what the contract says."""


def expect(kept: bool, promise: str) -> None:
    """Raise BrokenPromiseError unless it was kept."""
    if not kept:
        raise BrokenPromiseError(promise)


async def bounded(work: Awaitable[_T], what: str) -> _T:
    """Await one step of an engine for a limited time."""
    try:
        async with asyncio.timeout(LIMIT_SECONDS):
            return await work
    except TimeoutError:
        raise BrokenPromiseError(f"{what} did not end within {LIMIT_SECONDS:g} s") from None


async def see(bench: EngineBench, engine: Engine, state: RunState, what: str) -> None:
    """Wait until the engine says that the domain is in that state."""
    seen = await engine.observe(bench.definition.name)
    for _ in range(round(LIMIT_SECONDS / 0.1)):
        if seen.state is state:
            return
        await bench.pass_seconds(0.1)
        seen = await engine.observe(bench.definition.name)
    raise BrokenPromiseError(f"{what}: expected {state}, saw {seen.state} ({seen.detail})")


async def started(bench: EngineBench, *, held: bool = False) -> Definition:
    """Start the bench's domain on its source; returns the live definition."""
    room = bench.room(bench.source)
    live = await bench.source.realize(bench.definition, room)
    await bounded(bench.source.start(live, room, held=held), "start")
    if not held:
        await see(bench, bench.source, RunState.RUNNING, "after start")
        expect(await bench.answers(bench.source), "a started guest answers")
    return live


@dataclasses.dataclass
class Move:
    """The two halves of one move between the bench's hosts, and what was seen of it."""

    live: Definition
    outgoing: Outgoing
    incoming: Incoming
    address: Address
    progress: list[Progress] = dataclasses.field(default_factory=list)


async def listening(bench: EngineBench, live: Definition, migration: str = "kit-1") -> Move:
    """Prepare a move up to the held copy."""
    outgoing = bench.source.outgoing(live, migration)
    expect(not await outgoing.blockers(), "nothing blocks a plain running domain")
    incoming = bench.destination.incoming(live.name, migration)
    room = bench.room(bench.destination)
    there = await bench.destination.realize(live, room)
    address = await bounded(incoming.listen(there, room), "listen")
    await see(bench, bench.destination, RunState.INCOMING, "after listen")
    return Move(live, outgoing, incoming, address)


async def suspended(bench: EngineBench, move: Move) -> None:
    """Go on with the move until the source is suspended."""
    await bounded(move.outgoing.precopy(move.address, move.progress.append), "precopy")
    await bounded(move.outgoing.suspend(), "suspend")
    await see(bench, bench.source, RunState.SUSPENDED, "after suspend")


async def transferred(bench: EngineBench, move: Move) -> None:
    """Go on with the move until the whole stream is over there."""
    await bounded(move.outgoing.complete(move.progress.append), "complete")
    await see(bench, bench.source, RunState.DEPARTED, "after complete")
    await bounded(move.incoming.received(), "received")
    await see(bench, bench.destination, RunState.RECEIVED, "after received")


async def next_event(events: AsyncIterator[Event], kind: EventKind) -> Event:
    """Wait for the next event of a kind."""
    async for event in events:
        if event.kind is kind:
            return event
    raise BrokenPromiseError(f"the events ended without {kind}")


async def collect(events: AsyncIterator[Event]) -> list[Event]:
    """Gather all events until the iterator ends."""
    return [event async for event in events]

"""A supervisor ends when its domain is gone, whatever it was told."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from domwarden.contract import (
    Action,
    Definition,
    Engine,
    EngineError,
    Event,
    EventKind,
    Expiry,
    Host,
    Observation,
    RunState,
    WatchdogEntry,
)
from domwarden.journal import Journal
from domwarden.journal.lock import DomainLock
from domwarden.watchdog import process, supervisor


@contextlib.asynccontextmanager
async def turn() -> AsyncIterator[None]:
    """Nobody else acts on the domain."""
    yield


class Deaf:
    """An engine whose events never come."""

    def __init__(self, *states: RunState) -> None:
        self.states = list(states)

    async def events(self, _name: str) -> AsyncIterator[Event]:
        await asyncio.Event().wait()
        yield Event(EventKind.GONE, 0.0)

    async def observe(self, _name: str) -> Observation:
        return Observation(self.states.pop(0) if len(self.states) > 1 else self.states[0])


async def test_a_supervisor_that_hears_nothing_sees_its_domain_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "LOOK_SECONDS", 0.001)
    engine = Deaf(RunState.RUNNING, RunState.RUNNING, RunState.ABSENT)
    definition = Definition("web1", "u", "deaf", 4096)

    async def tell(_expiry: Any) -> None:
        raise AssertionError("nothing fired")

    async with Journal(tmp_path) as journal:
        work = supervisor.supervise(cast("Engine", engine), journal, definition, tell, turn)
        await asyncio.wait_for(work, 10)


class Fired:
    """An engine that only pauses a hung guest, whose dump the supervisor owes it."""

    SUPERVISED = frozenset({Action.DUMP})

    def __init__(self, *, stumbles: bool = False, state: RunState = RunState.PAUSED) -> None:
        self.stumbles = stumbles
        self.state = state
        self.acted: list[Action] = []

    async def events(self, _name: str) -> AsyncIterator[Event]:
        if self.stumbles:
            self.stumbles = False
            raise EngineError("web1: its record is unreadable")
        yield Event(EventKind.WATCHDOG, 1.0)

    async def observe(self, _name: str) -> Observation:
        return Observation(RunState.ABSENT if self.acted else self.state)

    async def act(self, _name: str, action: Action) -> None:
        self.acted.append(action)


async def supervised(engine: Fired, journal: Journal, turn: supervisor.Turn = turn) -> list[Expiry]:
    """Follow until the engine has acted; returns what the devices were told."""
    told: list[Expiry] = []

    async def tell(expiry: Expiry) -> None:
        told.append(expiry)

    watchdog = WatchdogEntry("i6300esb", action=Action.DUMP)
    definition = Definition("web1", "u", "fired", 4096, watchdog=watchdog)
    work = supervisor.supervise(cast("Engine", engine), journal, definition, tell, turn)
    await asyncio.wait_for(work, 10)
    return told


async def test_a_journal_that_fails_leaves_no_hung_guest_paused(tmp_path: Path) -> None:
    """What the hypervisor began is completed, though nobody can write it down."""
    journal = Journal(tmp_path)  # never opened: each call raises BrokenError
    engine = Fired()
    told = await supervised(engine, journal)
    await journal.aclose()
    assert engine.acted == [Action.DUMP]
    assert [expiry.at for expiry in told] == [1.0]


async def test_an_engine_that_stumbles_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One failed question does not leave the domain without its supervisor."""
    monkeypatch.setattr(supervisor, "RECONNECT_SECONDS", 0.001)
    engine = Fired(stumbles=True)
    async with Journal(tmp_path) as journal:
        await supervised(engine, journal)
        assert len(await journal.expiries("web1")) == 1
    assert engine.acted == [Action.DUMP]


async def test_a_supervisor_does_not_act_on_a_domain_that_moves(tmp_path: Path) -> None:
    """It waits for whoever holds the domain's lock, and then looks what it would act on."""
    engine = Fired()
    lock = DomainLock(tmp_path, "web1")
    lock.acquire()
    host = Host("a", tmp_path)
    waits = asyncio.Event()

    @contextlib.asynccontextmanager
    async def turn() -> AsyncIterator[None]:
        waits.set()
        async with process._turn(host, "web1"):
            yield

    async with Journal(tmp_path) as journal:
        work = asyncio.create_task(supervised(engine, journal, turn))
        await waits.wait()
        await asyncio.sleep(0)
        assert not engine.acted
        lock.release()
        await asyncio.wait_for(work, 10)
        assert engine.acted == [Action.DUMP]
    lock.acquire()  # the supervisor let go of it


@pytest.mark.parametrize("state", [RunState.DEPARTED, RunState.SUSPENDED, RunState.RECEIVED])
async def test_a_supervisor_lets_no_copy_run_that_a_move_stopped(
    tmp_path: Path, state: RunState
) -> None:
    """Also when the process that moved it has died, and nobody holds the lock."""
    engine = Fired(state=state)

    @contextlib.asynccontextmanager
    async def turn() -> AsyncIterator[None]:
        yield
        engine.state = RunState.ABSENT

    async with Journal(tmp_path) as journal:
        assert len(await supervised(engine, journal, turn)) == 1
    assert not engine.acted


async def test_a_hypervisor_that_does_not_tell_at_once_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else may have its ear for a moment, and the hung guest waits for its dump."""
    monkeypatch.setattr(supervisor, "RECONNECT_SECONDS", 0.001)
    engine = Fired(state=RunState.UNKNOWN)
    looks = 0

    async def observe(_name: str) -> Observation:
        nonlocal looks
        looks += 1
        state = RunState.UNKNOWN if looks < 4 else RunState.PAUSED
        return Observation(RunState.ABSENT if engine.acted else state)

    monkeypatch.setattr(engine, "observe", observe)
    async with Journal(tmp_path) as journal:
        await supervised(engine, journal)
    assert engine.acted == [Action.DUMP]


async def test_an_engine_that_acts_when_it_is_asked_for_more_events_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes on top of its own action waits for it; it must not wait for what comes on top."""
    monkeypatch.setattr(supervisor, "RECONNECT_SECONDS", 0.001)
    engine = Fired(state=RunState.UNKNOWN)

    async def events(_name: str) -> AsyncIterator[Event]:
        yield Event(EventKind.WATCHDOG, 1.0)
        engine.state = RunState.RUNNING  # made again, as its hypervisor's own monitor would have

    monkeypatch.setattr(engine, "events", events)
    async with Journal(tmp_path) as journal:
        await supervised(engine, journal)
        assert len(await journal.expiries("web1")) == 1
    assert engine.acted == [Action.DUMP]

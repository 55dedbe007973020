"""A supervisor ends when its domain is gone, whatever it was told."""

import asyncio
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
    Observation,
    RunState,
    WatchdogEntry,
)
from domwarden.journal import Journal
from domwarden.watchdog import supervisor


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
        work = supervisor.supervise(cast("Engine", engine), journal, definition, tell)
        await asyncio.wait_for(work, 10)


class Fired:
    """An engine that only pauses a hung guest, whose dump the supervisor owes it."""

    SUPERVISED = frozenset({Action.DUMP})

    def __init__(self, *, stumbles: bool = False) -> None:
        self.stumbles = stumbles
        self.acted: list[Action] = []

    async def events(self, _name: str) -> AsyncIterator[Event]:
        if self.stumbles:
            self.stumbles = False
            raise EngineError("web1: its record is unreadable")
        yield Event(EventKind.WATCHDOG, 1.0)

    async def observe(self, _name: str) -> Observation:
        return Observation(RunState.ABSENT if self.acted else RunState.PAUSED)

    async def act(self, _name: str, action: Action) -> None:
        self.acted.append(action)


async def supervised(engine: Fired, journal: Journal) -> list[Expiry]:
    """Follow until the engine has acted; returns what the devices were told."""
    told: list[Expiry] = []

    async def tell(expiry: Expiry) -> None:
        told.append(expiry)

    watchdog = WatchdogEntry("i6300esb", action=Action.DUMP)
    definition = Definition("web1", "u", "fired", 4096, watchdog=watchdog)
    work = supervisor.supervise(cast("Engine", engine), journal, definition, tell)
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

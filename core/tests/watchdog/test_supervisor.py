"""A supervisor ends when its domain is gone, whatever it was told."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from domwarden.contract import Definition, Engine, Event, EventKind, Observation, RunState
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

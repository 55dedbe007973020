"""A move whose driver dies: what the others make of it, and what must hold afterwards."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from domwarden.migration import Moment, MoveFailedError, Outcome

from .house import NAME, House, drivers
from .story import Story

#: A watchdog that a kicked guest keeps on a busy machine too.
WATCHDOG_SECONDS = 20
RECOVERY_SECONDS = 90.0
DIED = "the process that drove the move died"


def other(host: str) -> str:
    return "b" if host == "a" else "a"


async def outcome_of_move(made: House, source: str) -> Outcome:
    """Move with a driver that is killed on the way; only its watcher then acts."""
    async with asyncio.timeout(RECOVERY_SECONDS), made.warden(source) as warden:
        try:
            moved = await warden.migrate(NAME, other(source))
        except MoveFailedError as failed:
            said, outcome = str(failed.cause), failed.settled.outcome
        else:
            said, outcome = moved.alarms[0], Outcome.ARRIVED
    assert DIED in said, said
    return outcome


async def killed_at(made: House, point: str, source: str) -> Outcome:
    """Move with a driver that is killed at that point."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOMWARDEN_CRASH_AT", point)
        return await outcome_of_move(made, source)


async def whole(made: House, story: Story) -> str:
    """See one copy run with all it had, and nothing of it on the other host; returns where."""
    owner = await made.owner()
    await story.prove(owner)
    await made.left(other(owner))
    return owner


async def survive(made: House, story: Story, point: str, source: str, expected: Outcome) -> str:
    """Kill the driver there and see everything in its place; returns where the domain is."""
    await story.note(source, f"before {point}")
    story.moves += 1
    outcome = await killed_at(made, point, source)
    assert outcome is expected, (point, outcome)
    owner = await whole(made, story)
    assert owner == (other(source) if expected is Outcome.ARRIVED else source), point
    return owner


async def moves_again(made: House, story: Story, source: str) -> None:
    """See a clean move, nothing left to recover, and that no watchdog fired in all that time."""
    story.moves += 1
    async with made.warden(source) as warden:
        moved = await warden.migrate(NAME, other(source))
    assert moved.alarms == (), moved.alarms
    assert await whole(made, story) == other(source)
    for host in "ab":
        async with made.warden(host) as warden:
            assert await warden.expiries(NAME) == []
            assert await warden.recover() == []


def watcher_dies(root: Path) -> tuple[Callable[[Moment], None], list[int]]:
    """Return an observer that kills the watcher at once, and where the driver's pid will be."""
    driver: list[int] = []

    def observer(_moment: Moment) -> None:
        if not driver:
            watcher, worker = drivers(root)
            os.kill(watcher, signal.SIGKILL)
            driver.append(worker)

    return observer, driver

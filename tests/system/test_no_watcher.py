"""Driver and watcher of a move both die: the next verb about the domain settles it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from domwarden.contract import BrokenError, RunState
from domwarden.migration import Moment, Outcome

from .house import NAME, House, alive, drivers, house, until
from .story import Story
from .survival import WATCHDOG_SECONDS, moves_again, other, whole

pytestmark = [pytest.mark.live, pytest.mark.time_limit(300)]


def _watcher_dies(root: Path) -> tuple[Callable[[Moment], None], list[int]]:
    """Return an observer that kills the watcher at once, and where the driver's pid will be."""
    driver: list[int] = []

    def observer(_moment: Moment) -> None:
        if not driver:
            watcher, worker = drivers(root)
            os.kill(watcher, signal.SIGKILL)
            driver.append(worker)

    return observer, driver


async def _nobody_is_left(made: House, point: str, source: str) -> None:
    """Move until the driver dies at that point, long after its watcher did."""
    observer, driver = _watcher_dies(made.root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOMWARDEN_CRASH_AT", point)
        async with made.warden(source) as warden:
            with pytest.raises(BrokenError, match="so did its watcher"):
                await warden.migrate(NAME, other(source), observer=observer)
        await until(lambda: not alive(driver[0]), "the driver dies too", seconds=60)
    status = await made.status(source)
    assert status is not None
    assert status.migration
    assert RunState.RUNNING not in {status.state, await made.state(other(source))}


async def test_the_next_verb_settles_what_driver_and_watcher_left(tmp_path: Path) -> None:
    """By ``recover`` on the other host before the release, by ``pause`` over there after it."""
    async with house(tmp_path) as made:
        story = Story(made)
        await story.begin(watchdog_seconds=WATCHDOG_SECONDS)
        await story.note("a", "nobody is left")
        story.moves += 1
        await _nobody_is_left(made, "pre-switchover", "a")
        async with made.warden("b") as warden:
            (settled,) = await warden.recover()
        assert settled.outcome is Outcome.RESUMED
        assert await whole(made, story) == "a"
        story.moves += 1
        await _nobody_is_left(made, "released-not-granted", "a")
        async with made.warden("b") as warden:
            await warden.pause(NAME)
            assert await made.state("b") is RunState.PAUSED
            await warden.resume(NAME)
        assert await whole(made, story) == "b"
        await moves_again(made, story, "b")

"""Driver and watcher of a move both die: the next verb about the domain settles it."""

from __future__ import annotations

from pathlib import Path

import pytest

from domwarden.config import load_host
from domwarden.contract import BrokenError, End, RunState
from domwarden.migration import Outcome
from domwarden.plugins import Kind, load

from .house import NAME, House, alive, house, until
from .story import Story
from .survival import WATCHDOG_SECONDS, moves_again, other, watcher_dies, whole

pytestmark = [pytest.mark.live, pytest.mark.time_limit(300)]


async def _nobody_is_left(made: House, point: str, source: str) -> None:
    """Move until the driver dies at that point, long after its watcher did."""
    observer, driver = watcher_dies(made.root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOMWARDEN_CRASH_AT", point)
        async with made.warden(source) as warden:
            with pytest.raises(BrokenError, match="so did its watcher"):
                await warden.migrate(NAME, other(source), observer=observer)
        await until(lambda: not alive(driver[0]), "the driver dies too", seconds=60)
    # Not by `status`, which would settle it.
    async with made.warden(source) as warden:
        (left,) = (await warden.plan(NAME, other(source))).unfinished
        assert left.end is End.SOURCE
        engine = await warden.engine_of(NAME)
        assert (await engine.observe(NAME)).state is not RunState.RUNNING
    there = load(Kind.ENGINE, "qemu").cls(load_host(made.root / f"{other(source)}.yaml").host)
    assert (await there.observe(NAME)).state is not RunState.RUNNING


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

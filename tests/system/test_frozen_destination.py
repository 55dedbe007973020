"""A destination freezes at the switchover, and then the driver dies that cuts it off."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from domwarden.migration import Outcome

from .house import House, drivers, house, until
from .story import Story
from .survival import (
    WATCHDOG_SECONDS,
    moves_again,
    other,
    outcome_of_move,
    survive,
    whole,
)

pytestmark = [pytest.mark.live, pytest.mark.time_limit(400)]

#: Called at SYNC of the source, when the mirror has nothing to send any more and QEMU waits at the
#: pre-switchover. After the pause only the stream is left, and its receiver stops for good.
TOOL = """#!/bin/sh
[ "$*" = "-type vtpm -step 3 -host $6 -domname web1" ] && [ -e {root}/freeze ] || exit 0
sleep 1
kill -STOP "$(cat {root}/$6/domains/web1/qemu/pid)" && mv {root}/freeze {root}/frozen
"""


def _tool(root: Path) -> Path:
    path = root / "tool"
    path.write_text(TOOL.format(root=root))
    path.chmod(0o700)
    return path


def _freeze(root: Path) -> None:
    (root / "frozen").unlink(missing_ok=True)
    (root / "freeze").touch()


async def _killed_in_the_hang(made: House, source: str) -> Outcome:
    """Kill the driver while the source's QEMU hangs with the destination."""
    move = asyncio.create_task(outcome_of_move(made, source), name="move")
    try:
        frozen = (made.root / "frozen").exists
        await until(lambda: frozen() or move.done(), "the destination is frozen", seconds=60)
        _, worker = drivers(made.root)
        await asyncio.sleep(1)  # migrate-continue was given meanwhile
        os.kill(worker, signal.SIGKILL)
        return await move
    finally:
        move.cancel()


async def test_a_driver_killed_while_it_aborts_leaves_one_whole_copy(tmp_path: Path) -> None:
    """Before its yank, after it, and at each of the next steps back; the source always resumes."""
    async with house(tmp_path, tool=_tool(tmp_path), switchover_timeout="3s") as made:
        story = Story(made)
        await story.begin(watchdog_seconds=WATCHDOG_SECONDS)
        await story.note("a", "before the hang")
        _freeze(tmp_path)
        story.moves += 1
        assert await _killed_in_the_hang(made, "a") is Outcome.RESUMED
        assert await whole(made, story) == "a"
        for point in ("aborted-not-resumed", "destination engine discard before", "during-abort"):
            _freeze(tmp_path)
            assert await survive(made, story, point, "a", Outcome.RESUMED) == "a"
            assert (tmp_path / "frozen").exists()
        await moves_again(made, story, "a")
        assert await made.owner() == other("a")

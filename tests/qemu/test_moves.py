"""A real guest moves between two QEMUs, or stays where it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from domwarden.contract import Definition, Progress, RunState
from domwarden.testing.console import Console

from .lab import MOVE, NAME, Lab, booted, ignore

pytestmark = [pytest.mark.live, pytest.mark.time_limit(180)]


async def _to_switchover(made: Lab, live: Definition) -> list[Progress]:
    reports: list[Progress] = []
    incoming = made.engine("b").incoming(NAME, MOVE)
    outgoing = made.engine("a").outgoing(live, MOVE)
    address = await incoming.listen(live, made.room)
    assert await made.state("b") == RunState.INCOMING
    await outgoing.precopy(address, reports.append)
    await outgoing.suspend()
    assert await made.state("a") == RunState.SUSPENDED
    return reports


async def _complete(made: Lab, live: Definition) -> None:
    outgoing = made.engine("a").outgoing(live, MOVE)
    await outgoing.complete(ignore)
    assert await made.state("a") == RunState.DEPARTED
    await made.engine("b").incoming(NAME, MOVE).received()
    assert await made.state("b") == RunState.RECEIVED


async def test_a_running_guest_moves_and_counts_on(tmp_path: Path) -> None:
    """Every call uses a new engine: nothing lives in the objects."""
    async with booted(tmp_path) as (made, live):
        async with await Console.connect(made.console("a")) as console:
            await console.wait_ready()
            await console.command("count start -")
            await console.wait_count(5)
        assert await made.engine("a").outgoing(live, MOVE).blockers() == []
        reports = await _to_switchover(made, live)
        assert 0 < reports[-1].transferred_bytes <= reports[-1].total_bytes
        await _complete(made, live)
        downtime = await made.engine("a").outgoing(live, MOVE).downtime_seconds()
        assert downtime is not None
        assert 0 < downtime < 10
        incoming = made.engine("b").incoming(NAME, MOVE)
        await incoming.activate(run=True)
        await incoming.activate(run=True)  # may be repeated
        assert await made.state("b") == RunState.RUNNING
        await made.engine("a").stop(NAME)
        assert await made.state("a") == RunState.ABSENT
        async with await Console.connect(made.console("b")) as console:
            before = await console.wait_count(6)
            await console.wait_count(before.number + 5)
        # and back, from the process that arrived
        made = Lab(tmp_path, made.room)
        home = made.engine("a").incoming(NAME, "move-2")
        away = made.engine("b").outgoing(live, "move-2")
        await away.precopy(await home.listen(live, made.room), ignore)
        await away.complete(ignore)
        await home.received()
        await home.activate(run=True)
        assert await made.count("a") > before.number


async def test_a_paused_guest_arrives_paused(tmp_path: Path) -> None:
    async with booted(tmp_path) as (made, live):
        await made.engine("a").pause(NAME)
        await _to_switchover(made, live)
        await _complete(made, live)
        await made.engine("b").incoming(NAME, MOVE).activate(run=False)
        assert await made.state("b") == RunState.PAUSED
        await made.engine("b").resume(NAME)
        await made.answers("b")


@pytest.mark.parametrize("resume", [True, False], ids=["resumed", "paused"])
@pytest.mark.parametrize("completed", [False, True], ids=["at-switchover", "completed"])
async def test_an_aborted_move_leaves_the_guest_at_its_source(
    tmp_path: Path, *, completed: bool, resume: bool
) -> None:
    async with booted(tmp_path) as (made, live):
        await _to_switchover(made, live)
        if completed:
            await _complete(made, live)
        await made.engine("b").incoming(NAME, MOVE).discard()
        assert await made.state("b") == RunState.ABSENT
        outgoing = made.engine("a").outgoing(live, MOVE)
        await outgoing.abort(resume=resume)
        assert await made.state("a") == (RunState.RUNNING if resume else RunState.PAUSED)
        await outgoing.abort(resume=resume)  # idempotent
        assert await made.state("a") == (RunState.RUNNING if resume else RunState.PAUSED)
        if not resume:
            await made.engine("a").resume(NAME)
        await made.answers("a")
        assert await outgoing.blockers() == []
        await _to_switchover(made, live)
        await _complete(made, live)


async def test_a_paused_guest_whose_move_is_aborted_stays_paused_and_says_why_it_cannot_move(
    tmp_path: Path,
) -> None:
    async with booted(tmp_path) as (made, live):
        await made.engine("a").pause(NAME)
        await _to_switchover(made, live)
        await made.engine("b").incoming(NAME, MOVE).discard()
        outgoing = made.engine("a").outgoing(live, MOVE)
        await outgoing.abort(resume=False)
        assert await made.state("a") == RunState.PAUSED
        assert [refusal.code for refusal in await outgoing.blockers()] == ["paused-by-move"]


async def test_a_saved_guest_is_restored_where_it_was(tmp_path: Path) -> None:
    stream = tmp_path / "stream"
    async with booted(tmp_path) as (made, live):
        async with await Console.connect(made.console("a")) as console:
            await console.wait_ready()
            await console.command("count start -")
            await console.wait_count(5)
        outgoing = made.engine("a").outgoing(live, MOVE)
        await outgoing.precopy({"file": str(stream)}, ignore)
        assert await made.state("a") == RunState.SUSPENDED
        await outgoing.suspend()
        await outgoing.complete(ignore)
        assert await made.state("a") == RunState.DEPARTED
        await made.engine("a").stop(NAME)
        size = stream.stat().st_size
        assert 4 * 2**20 < size < live.memory_bytes
        incoming = made.engine("a").incoming(NAME, "restore-1")
        await incoming.listen(live, made.room, {"file": str(stream)})
        await incoming.received()
        assert await made.state("a") == RunState.RECEIVED
        await incoming.activate(run=True)
        assert await made.count("a") >= 5
        assert stream.stat().st_size == size


@pytest.mark.parametrize("completed", [False, True], ids=["at-switchover", "completed"])
async def test_an_aborted_save_lets_the_guest_run_on(tmp_path: Path, *, completed: bool) -> None:
    async with booted(tmp_path) as (made, live):
        outgoing = made.engine("a").outgoing(live, MOVE)
        await outgoing.precopy({"file": str(tmp_path / "stream")}, ignore)
        if completed:
            await outgoing.complete(ignore)
        await outgoing.abort(resume=True)
        assert await made.state("a") == RunState.RUNNING
        await made.answers("a")


async def test_discard_leaves_what_another_move_made(tmp_path: Path) -> None:
    async with booted(tmp_path) as (made, _live):
        await made.engine("a").incoming(NAME, MOVE).discard()
        assert await made.state("a") == RunState.RUNNING

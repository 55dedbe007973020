"""A released domain is taken back from a host that is gone for good, once."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path

import pytest

from domwarden.config import HostFile, Peer
from domwarden.contract import (
    BrokenError,
    ConflictError,
    PermanentError,
    RefusedError,
    RunState,
)
from domwarden.journal import HistoryKind
from domwarden.migration import Outcome
from domwarden.plan import UNSEEN_EPOCHS, Desired

from ..migration.embedded_world import EmbeddedWorld
from ..migration.world import MEMORY, Killed, World
from .reclaimed import (
    AFTER_RELEASE,
    GRANTED,
    RELEASED,
    SEEN,
    Off,
    fenced,
    killed_at,
    left_at,
    refused,
    switch_off,
    switch_on,
    unreachable,
)
from .test_warden import warden


@pytest.mark.parametrize("point", AFTER_RELEASE)
async def test_a_released_domain_is_taken_back(tmp_path: Path, point: str) -> None:
    """With its memory, its devices recovered in reverse, under an epoch that nobody else has."""
    world = World(tmp_path)
    await left_at(world, point)
    await switch_off(world)
    async with fenced(world) as here:
        with pytest.raises(ConflictError):
            await here.stop("web1")
        found = await here.reclaimable("web1")
        assert (found.refusals, found.destination, found.cold) == ((), "b", False)
        assert (found.state, found.running) == (RunState.DEPARTED, True)
        assert found.epoch == 1 + UNSEEN_EPOCHS
        assert found.answers == {"b": None}
        assert found.recovers == ("net", "disk")
        assert found.released_seconds_ago is not None
        assert found.as_json()["epoch"] == found.epoch
        begun = len(world.points)
        settled = await here.reclaim("web1")
        assert (settled.outcome, settled.alarms) == (Outcome.RECLAIMED, ())
        assert world.memory("a") == MEMORY
        durable = world.points.index("source journal reclaimed after")
        assert not any(" engine " in point for point in world.points[begun:durable])
        recovered = [(device, step) for _, device, hook, step in world.said if hook == "recover"]
        assert recovered == [("net", "SYNC"), ("disk", "SYNC")]
        (status,) = await here.status()
        assert (status.state, status.desired) == (RunState.RUNNING, Desired.RUNNING)
        assert (status.epoch, status.migration) == (found.epoch, "")
        history = await here._hub.site.journal.history("web1")
        assert HistoryKind.RECLAIMED in {entry.kind for entry in history}
        await here.stop("web1")  # it is a domain like any other again


async def test_a_paused_domain_is_taken_back_paused(tmp_path: Path) -> None:
    """As it was when its move began."""
    world = World(tmp_path)
    await left_at(world, RELEASED, paused=True)
    await switch_off(world)
    async with fenced(world) as here:
        assert (await here.reclaim("web1")).outcome is Outcome.RECLAIMED
        (status,) = await here.status()
    assert (status.state, status.desired) == (RunState.PAUSED, Desired.PAUSED)


async def again(world: World, *, cold: bool) -> None:
    """Ask for the reclaim a second time, which finds it done or does it."""
    async with fenced(world) as here:
        found = await here.reclaimable("web1", cold=cold)
        if found.done is not None:
            assert found.done.outcome is (Outcome.STOPPED if cold else Outcome.RECLAIMED)
        elif not found.refusals:
            await here.reclaim("web1", cold=cold)
        else:
            assert [r.code for r in found.refusals] == ["nothing-unfinished"]


async def check_reclaimed(world: World, *, cold: bool) -> None:
    """One copy runs here (cold: none), and the host that comes back learns that it lost."""
    running = [] if cold else ["a"]
    assert world.running() == running
    if not cold:
        assert world.memory("a") == MEMORY
    switch_on(world)
    async with warden(world, "b") as there:
        assert Outcome.BROKEN not in {one.outcome for one in await there.recover()}
        assert world.states() == {"a": "absent" if cold else "running", "b": "absent"}
        assert await there._hub.site.journal.unfinished() == []
        theirs = await there._hub.site.journal.domain("web1")
        with pytest.raises(RefusedError) as error:
            await there.start(world.definition())
        assert {r.code for r in error.value.refusals} <= {"newer-elsewhere", "copy-elsewhere"}
    async with warden(world) as here:
        own = await here._hub.site.journal.domain("web1")
        assert await here._hub.site.journal.unfinished() == []
    assert own is not None
    assert theirs is not None
    assert own.desired is (Desired.STOPPED if cold else Desired.RUNNING)
    assert (theirs.desired, theirs.moved_to) == (Desired.MOVED, "a")
    assert theirs.epoch < own.epoch == 1 + UNSEEN_EPOCHS


@pytest.mark.parametrize(("kind", "cold"), [(World, False), (World, True), (EmbeddedWorld, False)])
def test_a_reclaim_killed_at_any_point_is_finished_by_the_second(
    tmp_path: Path, kind: type[World], cold: bool
) -> None:
    """At most one copy runs at any time."""

    async def run(directory: Path, kill_at: int | None, point: str) -> int:
        world = kind(directory)
        try:
            await left_at(world, point)
            await switch_off(world)
            assert await killed_at(world, kill_at, cold=cold) is (kill_at is not None)
            points = len(world.points)
            assert len(world.running()) <= 1
            await again(world, cold=cold)
            await check_reclaimed(world, cold=cold)
            return points
        finally:
            world.close()

    for point in (RELEASED, GRANTED) if kind is World else (GRANTED,):
        total = asyncio.run(run(tmp_path / point, None, point))
        assert total > 8
        for kill_at in range(total):
            asyncio.run(run(tmp_path / f"{point}-{kill_at}", kill_at, point))


async def test_a_domain_that_was_not_released_is_not_reclaimed(tmp_path: Path) -> None:
    """It comes back without anybody's word; afterwards nothing is left to take."""
    world = World(tmp_path)
    await left_at(world, "source engine complete after")
    await switch_off(world)
    async with fenced(world) as here, fenced(world) as other:
        with other._hub.lock("web1"):
            found = await here.reclaimable("web1")
            with pytest.raises(ConflictError):
                await here.reclaim("web1")
        assert [refusal.code for refusal in found.refusals] == ["not-released"]
        (one,) = (await here.reclaimable("web1")).settled
        assert one.outcome is Outcome.RESUMED
    assert await refused(world) == ["not-released"]
    assert world.running() == ["a"]
    switch_on(world)
    assert await refused(world) == ["nothing-unfinished"]


async def test_a_host_that_answers_is_not_gone(tmp_path: Path) -> None:
    """What the two can settle is settled; what they cannot waits for more than this word."""
    world = World(tmp_path)
    await left_at(world, RELEASED)
    async with fenced(world) as here:
        found = await here.reclaimable("web1")
    assert [one.outcome for one in found.settled] == [Outcome.ARRIVED]
    assert world.running() == ["b"]
    assert await refused(world) == ["moved"]
    world = World(tmp_path / "broken")
    await left_at(world, GRANTED)
    await world.engine("b").stop("web1")
    assert await refused(world) == ["answers", "broken"]


async def test_only_the_host_that_it_was_released_to_is_fenced_for_it(tmp_path: Path) -> None:
    """And every other peer says what it knows."""
    world = World(tmp_path)
    await left_at(world, RELEASED)
    await switch_off(world)
    assert await refused(world, "c") == ["not-fenced", "unknown-host"]
    both = world.host_file

    def with_c(name: str) -> HostFile:
        found = both(name)
        return HostFile(found.host, {**found.peers, "c": Peer("c", Path("c"))})

    world.host_file = with_c  # type: ignore[method-assign]  # a third host that nobody reaches
    world.wrap_link = lambda peer, link: Off() if peer in "bc" else link
    world.hosts["c"] = dataclasses.replace(
        world.hosts["b"], name="c", state_directory=tmp_path / "c"
    )
    assert await refused(world) == ["peer-silent"]
    world.engine("c").write("web1", state="paused")
    unreachable(world)
    assert await refused(world) == ["copy-elsewhere"]
    assert await refused(world, "b", "c") == ["answers"]


async def test_a_domain_that_was_seen_running_there_starts_only_cold(tmp_path: Path) -> None:
    """Its suspended copy is older than its disks; it is destroyed, never resumed."""
    world = World(tmp_path)
    await left_at(world, SEEN)
    await switch_off(world)
    assert await refused(world) == ["cold-start-only"]
    async with fenced(world) as here:
        found = await here.reclaimable("web1", cold=True)
        assert found.refusals == ()
        settled = await here.reclaim("web1", cold=True)
        assert settled.outcome is Outcome.STOPPED
        assert "start it from its file" in settled.detail
        hooks = [(device, hook) for _, device, hook, _ in world.said]
        assert hooks[-2:] == [("net", "close"), ("disk", "close")]
        assert world.states() == {"a": "absent", "b": "absent"}
        await here.start(world.definition())
        (status,) = await here.status()
    assert status.epoch == 2 + 2 * UNSEEN_EPOCHS  # once to reclaim, once to start


async def test_a_copy_that_is_gone_leaves_a_cold_start(tmp_path: Path) -> None:
    """As after a power cut of both hosts."""
    world = World(tmp_path)
    await left_at(world, RELEASED)
    await switch_off(world)
    await world.engine("a").stop("web1")
    assert await refused(world) == ["cold-start-only"]
    async with fenced(world) as here:
        assert (await here.reclaim("web1", cold=True)).outcome is Outcome.STOPPED


async def test_a_lost_journal_refuses(tmp_path: Path) -> None:
    """What it said is unknown, so nobody knows who owns the domain."""
    world = World(tmp_path)
    await left_at(world, RELEASED)
    await switch_off(world)
    (world.hosts["a"].state_directory / "journal.sqlite").unlink()
    with pytest.raises(BrokenError, match="had a journal"):
        async with fenced(world):
            pass
    async with fenced(World(tmp_path / "other")) as here:
        with pytest.raises(PermanentError, match="knows no domain web1"):
            await here.reclaimable("web1")


async def test_a_destination_does_not_reclaim(tmp_path: Path) -> None:
    """Only the source keeps the domain for this."""
    world = World(tmp_path)
    await left_at(world, GRANTED)
    unreachable(world, "a")
    world.engine("b").write("web1", state="incoming")  # so that it cannot settle this alone
    async with fenced(world, "a", host="b") as there:
        found = await there.reclaimable("web1")
    assert [refusal.code for refusal in found.refusals] == ["not-the-source", "broken"]
    assert "reclaim it on a" in found.refusals[0].remedy


async def test_the_rest_of_a_reclaim_asks_no_silent_host(tmp_path: Path) -> None:
    """A guest that stands still does not wait for time-outs of a host that is gone."""
    world = World(tmp_path)
    await left_at(world, RELEASED)
    await switch_off(world)

    def die() -> None:
        raise Killed

    world.on_point = {"source journal reclaimed after": die}
    assert await killed_at(world, None, cold=False)
    world.wrap_link = lambda _peer, _link: pytest.fail("a host that is gone was asked")
    world.slept.clear()
    async with warden(world) as here:
        assert [one.outcome for one in await here.recover()] == [Outcome.RECLAIMED]
    assert world.running() == ["a"]
    assert world.slept == []

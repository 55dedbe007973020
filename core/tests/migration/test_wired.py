"""A peer behind a command: one running copy, whoever dies."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from pathlib import Path
from typing import Any

import pytest

from domwarden.contract import (
    DomwardenError,
    RefusedError,
    TransientError,
)
from domwarden.migration import MoveFailedError, Outcome, Timeline
from domwarden.warden import Warden

from .helpers import MEMORY, move, recover, running_domain
from .test_crashes import check_whole, killed
from .wired_world import WiredWorld
from .world import Killed


async def test_a_domain_moves_to_a_peer_behind_a_command_and_back(tmp_path: Path) -> None:
    """Tickets, moments and the blackout arrive as they do from a peer in this process."""
    world, timeline = WiredWorld(tmp_path), Timeline()
    await running_domain(world)
    moved = await move(world, observer=timeline)
    assert world.states() == {"a": "absent", "b": "running"}
    assert world.memory("b") == MEMORY
    assert moved.blackout_seconds is not None
    assert {moment.host for moment in timeline.moments} == {"a", "b"}
    assert timeline.blackout is not None
    assert not timeline.blackout.failed
    assert world.reached == ["b"]
    await move(world, "b", "a")
    assert world.running() == ["a"]


async def test_a_start_asks_a_peer_behind_a_command(tmp_path: Path) -> None:
    """It answers for its copy and its epoch; when it cannot be reached, that is silence."""
    world = WiredWorld(tmp_path)
    await running_domain(world)
    async with Warden(world.host_file("b"), ports=world.ports(), in_process=True) as there:
        with pytest.raises(RefusedError) as caught:
            await there.start(world.definition())
        assert [r.code for r in caught.value.refusals] == ["copy-elsewhere"]
    world.refusing.add("a")
    async with Warden(world.host_file("b"), ports=world.ports(), in_process=True) as there:
        with pytest.raises(RefusedError) as caught:
            await there.start(world.definition())
        assert [r.code for r in caught.value.refusals] == ["peer-silent"]


async def test_a_peer_that_cannot_be_reached_is_told_with_its_commands_words(
    tmp_path: Path,
) -> None:
    """Before anything was changed anywhere."""
    world = WiredWorld(tmp_path)
    await running_domain(world)
    world.refusing.add("b")
    with pytest.raises(TransientError, match="b cannot be reached: ssh: connect to host b"):
        await move(world)
    assert world.states() == {"a": "running", "b": "absent"}
    assert await recover(world, "a") == []


@pytest.mark.parametrize(
    "step", [pytest.param(1, marks=pytest.mark.slow), pytest.param(5, id="some")]
)
def test_a_kill_of_either_process_at_any_point_leaves_one_running_copy(
    memory_directory: Path, step: int
) -> None:
    """At each journal write, message and command of either end; the other process goes on."""

    async def whole() -> list[str]:
        world = WiredWorld(memory_directory / "whole")
        await running_domain(world)
        assert not await killed(world, None)
        assert world.running() == ["b"]
        return list(world.points)

    async def one(index: int, point: str) -> bool:
        world = WiredWorld(memory_directory / f"{index}")
        await running_domain(world)
        driver_died = False
        with contextlib.suppress(MoveFailedError, DomwardenError):
            driver_died = await killed(world, index)
        assert len(world.running()) <= 1, point
        if not driver_died:
            # Nobody but the one who drove the move was needed.
            assert len(world.running()) == 1, point
        await recover(world, ("a", "b", "ba")[index % 3])
        await recover(world, "a")
        assert len(world.running()) == 1, point
        await check_whole(world)
        return driver_died

    points = asyncio.run(whole())
    died = []
    for index, point in list(enumerate(points))[::step]:
        died.append(asyncio.run(one(index, point)))
        shutil.rmtree(memory_directory / f"{index}")
    # Both ends work at once at some points: which of them a number meets is not always the same.
    assert died.count(True) > 15 / step
    assert died.count(False) > 15 / step


async def test_a_peer_that_dies_again_and_again_loses_nothing(tmp_path: Path) -> None:
    """It may be killed in the recovery of what it was killed in."""
    world = WiredWorld(tmp_path)
    await running_domain(world)
    points = ["destination journal ready before", "link look before", "link give-up after"]

    def die() -> None:
        raise Killed("again")

    world.on_point = dict.fromkeys(points, die)
    with pytest.raises(MoveFailedError) as caught:
        await move(world)
    assert not world.on_point
    assert caught.value.settled.outcome is Outcome.RESUMED
    await recover(world, "a")
    assert world.states() == {"a": "running", "b": "absent"}
    await check_whole(world)


async def test_a_destination_whose_source_is_silent_decides_alone(tmp_path: Path) -> None:
    """Not ready: it gives up. Ready: it waits. As soon as the source answers, that one settles."""
    for point, state, outcome in (
        ("destination engine received before", "absent", "given-up"),
        ("source journal released before", "received", "waiting"),
    ):
        world = WiredWorld(tmp_path / outcome)
        await running_domain(world)

        def die() -> None:
            raise Dead

        world.on_point = {point: die}
        with contextlib.suppress(BaseExceptionGroup, Dead, DomwardenError):
            await _dying(world)
        world.refusing.add("a")
        (settled,) = await recover(world, "b")
        assert settled.outcome == outcome
        assert world.states()["b"] == state
        assert world.states()["a"] in {"suspended", "departed"}  # both ends complete at once
        world.refusing.clear()
        await recover(world, "ab")
        assert len(world.running()) == 1
        await check_whole(world)


class Dead(BaseException):
    """The machine is off."""


async def _dying(world: WiredWorld) -> None:
    """Move, and let the source's process die with the other one at the same time."""
    async with world.hub("a") as hub, hub.acting("web1"):
        from domwarden.migration import migrate

        # A settling would need what is dead too.
        async def nobody(*_: Any) -> Any:
            raise Dead

        hub.run_settling = nobody  # type: ignore[method-assign]  # as if this process had died here
        await migrate(hub, "web1", "b")

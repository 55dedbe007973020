"""Killing the driving process at any point leads to exactly one running copy."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domwarden.contract import PermanentError
from domwarden.journal import MigrationRecord
from domwarden.migration import MoveFailedError, migrate
from domwarden.plan import Desired

from .embedded_world import EmbeddedWorld
from .helpers import MEMORY, recover, running_domain
from .world import World, cut_short


async def killed(world: World, kill_at: int | None, *, to: str = "b") -> bool:
    """Migrate, killed at that point; returns whether it came so far."""
    world.kill_at = kill_at
    try:
        with cut_short() as cut:
            async with world.hub("a") as hub, hub.acting("web1"):
                await migrate(hub, "web1", to)
    finally:
        world.kill_at = None
    return cut.killed


async def unfinished(world: World, host: str) -> list[MigrationRecord]:
    """Return what a host's journal says is not done."""
    async with world.hub(host) as hub:
        return await hub.site.journal.unfinished()


async def check_whole(world: World) -> None:
    """One copy runs, whole; nothing is unfinished; both journals say the same."""
    states = world.states()
    assert sorted(states.values()) in (["absent", "running"], ["absent", "paused"]), states
    owner = next(host for host, state in states.items() if state != "absent")
    assert world.memory(owner) == MEMORY
    epochs = {}
    for host in world.hosts:
        async with world.hub(host) as hub:
            assert await hub.site.journal.unfinished() == []
            record = await hub.site.journal.domain("web1")
            epochs[host] = record.epoch if record else 0
            if host == owner:
                assert record is not None
                assert record.desired in {Desired.RUNNING, Desired.PAUSED}
    await recover(world, "ab")
    for host in world.hosts.values():
        assert not (host.state_directory / "journal.reserve").exists()
    assert epochs[owner] == max(epochs.values())
    assert list(epochs.values()).count(epochs[owner]) == 1
    check_devices(world, owner)


def check_devices(world: World, owner: str) -> None:
    """What was begun on a domain that stayed was undone in reverse, at both ends."""
    if owner != "a":
        return
    for host in world.hosts:
        begun = []
        for where, device, hook, step in world.said:
            if where == host and hook in {"migrate", "receive"} and step != "TEST":
                begun.append(device)
        undone = [d for w, d, hook, _ in world.said if w == host and hook == "recover"]
        assert set(begun) <= set(undone), (host, begun, undone)
    opened = {d for w, d, hook, _ in world.said if w == "b" and hook == "open"}
    closed = {d for w, d, hook, _ in world.said if w == "b" and hook == "close"}
    assert opened <= closed


def all_points(kind: type[World], directory: Path) -> list[str]:
    """Return every point that a whole migration passes."""

    async def whole() -> list[str]:
        world = kind(directory)
        await running_domain(world)
        assert not await killed(world, None)
        passed = list(world.points)
        assert world.states()["a"] == "absent"
        await check_whole(world)
        world.close()
        return passed

    return asyncio.run(whole())


async def survive(world: World, index: int, point: str, hosts: str) -> None:
    """Kill a migration at one point, recover, and see the domain whole."""
    try:
        await running_domain(world)
        assert await killed(world, index), point
        assert len(world.running()) <= 1, point
        known = bool(await unfinished(world, hosts[0]))
        await recover(world, hosts)
        if known:
            assert len(world.running()) == 1, point
        # Before and after the destination takes part, only the source can end the move.
        await recover(world, "a")
        await check_whole(world)
        assert len(world.running()) == 1, point
    finally:
        world.close()


#: In which order the hosts recover.
ORDERS = ("a", "b", "ba")


def test_a_kill_at_any_point_leaves_exactly_one_running_copy(memory_directory: Path) -> None:
    """Every journal write, message and engine command on embedded, recovered from either end."""
    points = all_points(EmbeddedWorld, memory_directory / "whole")
    assert len(points) > 60
    for index, point in enumerate(points):
        world = EmbeddedWorld(memory_directory / f"{index}")
        asyncio.run(survive(world, index, point, ORDERS[index % len(ORDERS)]))
        shutil.rmtree(memory_directory / f"{index}")


@pytest.mark.slow
@pytest.mark.parametrize("hosts", ORDERS)
@pytest.mark.parametrize("kind", [World, EmbeddedWorld])
def test_a_kill_at_any_point_is_recovered_in_any_order(
    memory_directory: Path, hosts: str, kind: type[World]
) -> None:
    """Every point with every order of recovery, on both hypervisors."""
    for index, point in enumerate(all_points(kind, memory_directory / "whole")):
        asyncio.run(survive(kind(memory_directory / f"{index}"), index, point, hosts))
        shutil.rmtree(memory_directory / f"{index}")


@settings(max_examples=settings.default.max_examples // 4)
@given(
    kills=st.lists(st.integers(0, 80), min_size=2, max_size=4),
    hosts=st.lists(st.sampled_from("ab"), min_size=4, max_size=4),
)
def test_a_recovery_may_be_killed_too(kills: list[int], hosts: list[str]) -> None:
    """However often, at whichever points and on whichever host: the last one leaves one copy."""

    async def run(directory: Path) -> None:
        world = World(directory)
        await running_domain(world)
        await killed(world, kills[0])
        for kill_at, host in zip(kills[1:], hosts, strict=False):
            world.points.clear()
            world.kill_at = kill_at % 20
            with cut_short():
                await recover(world, host)
            world.kill_at = None
            assert len(world.running()) <= 1
        await recover(world, "".join(hosts))
        await recover(world, "ab")
        await check_whole(world)

    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as directory:
        asyncio.run(run(Path(directory)))


def test_an_abort_that_is_killed_at_any_point_still_aborts(memory_directory: Path) -> None:
    """A device fails, and the recovery is killed at each of its own points in turn."""

    async def run(directory: Path, kill_at: int | None) -> list[str]:
        world = World(directory)
        await running_domain(world)
        world.options = {"net": {"receive SYNC": PermanentError("no")}}
        with contextlib.suppress(MoveFailedError):
            await killed(world, kill_at)
        points = list(world.points)
        await recover(world, "ba" if kill_at and kill_at % 2 else "ab")
        await check_whole(world)
        assert world.running() == ["a"]
        return points

    points = asyncio.run(run(memory_directory / "whole", None))
    begun = next(index for index, point in enumerate(points) if "journal aborted" in point)
    assert len(points) - begun > 15
    for index in range(begun, len(points)):
        asyncio.run(run(memory_directory / f"{index}", index))

"""Killing the driving process at any point leads to exactly one running copy."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from domwarden.journal import MigrationRecord
from domwarden.migration import migrate
from domwarden.plan import Desired

from .helpers import MEMORY, recover, running_domain
from .world import Killed, World


async def killed(world: World, kill_at: int | None, *, to: str = "b") -> bool:
    """Migrate, killed at that point; returns whether it came so far."""
    world.kill_at = kill_at
    try:
        async with world.hub("a") as hub, hub.acting("web1"):
            await migrate(hub, "web1", to)
    except Killed:
        return True
    except BaseExceptionGroup as group:
        if group.subgroup(Killed) is None:
            raise
        return True
    finally:
        world.kill_at = None
    return False


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


def all_points(directory: Path, *, paused: bool = False) -> list[str]:
    """Return every point that a whole migration passes."""

    async def whole() -> list[str]:
        world = World(directory)
        await running_domain(world, paused=paused)
        assert not await killed(world, None)
        await check_whole(world)
        assert world.states()["a"] == "absent"
        return world.points

    return asyncio.run(whole())


@pytest.mark.parametrize("hosts", ["a", "b", "ba"])
def test_a_kill_at_any_point_leaves_exactly_one_running_copy(
    memory_directory: Path, hosts: str
) -> None:
    """Every journal write, message and engine command, recovered from either end."""
    points = all_points(memory_directory / "whole")
    assert len(points) > 60

    async def one(index: int, point: str) -> None:
        world = World(memory_directory / f"{index}")
        await running_domain(world)
        assert await killed(world, index), point
        assert world.points[-1] == point or "start" in point
        assert len(world.running()) <= 1, point
        known = bool(await unfinished(world, hosts[0]))
        await recover(world, hosts)
        if known:
            assert len(world.running()) == 1, point
        # Before and after the destination takes part, only the source can end the move.
        await recover(world, "a")
        await check_whole(world)
        assert len(world.running()) == 1, point

    for index, point in enumerate(points):
        asyncio.run(one(index, point))
        shutil.rmtree(memory_directory / f"{index}")

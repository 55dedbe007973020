"""How an interrupted move is looked at."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path
from typing import Any

import pytest

from domwarden.contract import (
    BrokenError,
    DriverError,
    End,
    Engine,
    Host,
    Movement,
    Observation,
)
from domwarden.journal import MigrationRecord
from domwarden.migration import Message, MoveFailedError, Outcome
from domwarden.migration.request import Request, Verb
from domwarden.migration.verbs import complete

from .helpers import recover, running_domain
from .test_crashes import killed
from .toy_engine import ToyEngine
from .world import Killed, World


async def test_both_ends_are_looked_at_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two hypervisors that hang cost one time-out, while the guest stands still."""
    world = World(tmp_path)
    await running_domain(world)

    def die() -> None:
        raise Killed("complete")

    world.on_point = {"source engine complete after": die}
    assert await killed(world, None)
    both = asyncio.Barrier(2)
    looked: list[str] = []
    observe = ToyEngine.observe

    async def together(self: ToyEngine, name: str) -> Observation:
        looked.append(self.host.name)
        if len(looked) <= 2:
            async with asyncio.timeout(10):
                await both.wait()
        return await observe(self, name)

    monkeypatch.setattr(ToyEngine, "observe", together)
    (settled,) = await recover(world, "a")
    assert settled.outcome is Outcome.RESUMED
    assert looked[:2] == ["a", "b"]


async def test_a_move_that_cannot_be_looked_at_hides_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A domain whose engine's package is gone does not keep another one suspended."""
    world = World(tmp_path)
    await running_domain(world)
    lost = dataclasses.replace(world.definition("web0"), engine="lost")
    async with world.hub("a") as hub:
        await hub.site.journal.write(
            MigrationRecord("m0", "web0", End.SOURCE, Movement.MIGRATE, "b", 1, True, lost)
        )

    def die() -> None:
        raise Killed("complete")

    world.on_point = {"source engine complete after": die}
    assert await killed(world, None)
    ports = world.ports()

    def engine(name: str, host: Host) -> Engine:
        if name == "lost":
            raise DriverError("no engine lost is installed")
        return ports.engine(name, host)

    monkeypatch.setattr(world, "ports", lambda: dataclasses.replace(ports, engine=engine))
    settled = {found.domain: found.outcome for found in await recover(world, "a")}
    assert settled == {"web0": Outcome.BROKEN, "web1": Outcome.RESUMED}
    assert world.running() == ["a"]


async def test_a_watcher_settles_the_move_of_its_own_driver(tmp_path: Path) -> None:
    """What another process does to another domain is not what became of this one."""
    world = World(tmp_path)
    await running_domain(world)

    def die() -> None:
        raise Killed("complete")

    world.on_point = {"source engine complete after": die}
    assert await killed(world, None)
    other = world.definition("web2")
    request = Request(world.host_file("a"), Verb.MIGRATE, domain="web1", peer="b")
    async with world.hub("a") as hub:
        await hub.site.journal.write(
            MigrationRecord("m2", "web2", End.SOURCE, Movement.MIGRATE, "b", 1, True, other)
        )
        with hub.lock("web2"):
            failed = await complete(hub, request, BrokenError("it died"))
    assert isinstance(failed, MoveFailedError)
    assert (failed.settled.domain, failed.settled.outcome) == ("web1", Outcome.RESUMED)


async def test_a_watcher_waits_for_a_lock_that_is_held_for_a_moment(tmp_path: Path) -> None:
    """A child of the dead driver may hold its lock until its exec; nobody else would come back."""
    world = World(tmp_path)
    await running_domain(world)

    def die() -> None:
        raise Killed("complete")

    world.on_point = {"source engine complete after": die}
    assert await killed(world, None)
    request = Request(world.host_file("a"), Verb.MIGRATE, domain="web1", peer="b")
    async with world.hub("a") as hub, world.hub("a") as another:
        lock = another.lock("web1")
        lock.acquire()
        sleep = world.sleep

        async def release(seconds: float) -> None:
            lock.release()
            await sleep(seconds)

        hub.ports = dataclasses.replace(hub.ports, sleep=release)
        failed = await complete(hub, request, BrokenError("it died"))
    assert isinstance(failed, MoveFailedError)
    assert failed.settled.outcome is Outcome.RESUMED
    assert world.running() == ["a"]


@pytest.mark.parametrize("host", ["a", "b"])
async def test_what_was_settled_since_it_was_read_is_not_settled_again(
    tmp_path: Path, host: str
) -> None:
    """A look that comes while a move ends says nothing of it, and writes nothing."""
    world = World(tmp_path)
    await running_domain(world)

    def die() -> None:
        raise Killed("complete")

    world.on_point = {"source engine complete after": die}
    assert await killed(world, None)
    async with world.hub(host) as hub:
        stale = await hub.site.journal.unfinished()
        assert len(stale) == 1
        await recover(world, "a")
        hub.site.journal.unfinished = _returning(stale)  # type: ignore[method-assign]  # as read before
        hub._ask_source = _returning(None)  # type: ignore[method-assign]  # it is silent
        world.points.clear()
        assert await hub.settle() == []
    assert not any("journal" in point for point in world.points)


def _returning(value: Any) -> Any:
    async def answer(*_: object) -> Any:
        return value

    return answer


async def test_a_destination_whose_driver_is_gone_says_so_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first message that fails must not leave the domain locked against the next one."""
    world = World(tmp_path)
    await running_domain(world)

    def die() -> None:
        raise Killed("complete")

    world.on_point = {"source engine complete after": die}
    assert await killed(world, None)
    ports = world.ports()

    def engine(name: str, host: Host) -> Engine:
        if host.name == "b":
            raise DriverError("no engine toy is installed")
        return ports.engine(name, host)

    monkeypatch.setattr(world, "ports", lambda: dataclasses.replace(ports, engine=engine))
    (settled,) = await recover(world, "a")
    assert settled.outcome is Outcome.RESUMED
    async with world.hub("a") as hub:
        record = (await hub.site.journal.unfinished())[0]
        link = await hub.link("b")
        for _ in range(2):
            with pytest.raises(DriverError, match="no engine toy"):
                await link.send(Message(record.id, "look"))

"""A start or stop whose process was killed is brought to its end by whoever comes next."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from domwarden.contract import PermanentError, RunState
from domwarden.migration import Outcome
from domwarden.plan import Desired
from domwarden.warden import Warden

from ..migration.conftest import memory_directory
from ..migration.world import Killed, World, cut_short
from .test_warden import warden

__all__ = ["memory_directory"]

DEVICES = ("disk", "net", "tpm")


class Housed(World):
    """Three devices whose opens and closes look into the journal, fail or die as a test wants."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.devices = DEVICES
        self.seen: list[tuple[str, str, str | None]] = []
        self.open_devices: set[str] = set()
        self.die_in: tuple[str, str] | None = None
        self.fail: dict[tuple[str, str], Exception] = {}
        for device in DEVICES:
            self.options[device] = {hook: self._job(hook) for hook in ("open", "close")}

    def written(self) -> dict[tuple[str, str], str]:
        """Return the last durable state of each device's job on host a, by hook and device."""
        file = self.hosts["a"].state_directory / "journal.sqlite"
        with contextlib.closing(sqlite3.connect(file)) as connection:
            rows = connection.execute(
                "SELECT hook, device, json_extract(record, '$.state') FROM jobs ORDER BY migration"
            ).fetchall()
        return {(hook, device): state for hook, device, state in rows}

    def _job(self, hook: str) -> Any:
        async def job(domain: Any, _context: Any) -> None:
            key = (hook, domain.device)
            self.seen.append((*key, self.written().get(key)))
            if key in self.fail:
                raise self.fail[key]
            if hook == "open":
                self.open_devices.add(domain.device)
            else:
                self.open_devices.discard(domain.device)
            if self.die_in == key:
                self.die_in = None
                raise Killed(key)

        return job


async def until_killed(world: World, verb: Callable[[Warden], Awaitable[object]]) -> None:
    """Run a verb of host a whose process may die."""
    with cut_short():
        async with warden(world) as here:
            await verb(here)
    world.kill_at = None


def start(world: World) -> Callable[[Warden], Awaitable[object]]:
    return lambda here: here.start(world.definition())


def stop(here: Warden) -> Awaitable[object]:
    return here.stop("web1")


async def test_each_open_and_close_has_its_intent_before_and_its_outcome_after(
    tmp_path: Path,
) -> None:
    """For a start and a stop as for a move."""
    world = Housed(tmp_path)
    await until_killed(world, start(world))
    assert world.seen == [("open", device, "begun") for device in DEVICES]
    assert set(world.written().values()) == {"done"}
    world.seen.clear()
    world.fail["close", "net"] = PermanentError("it stays")
    await until_killed(world, stop)
    assert world.seen == [("close", device, "begun") for device in reversed(DEVICES)]
    assert world.written()["close", "net"] == "failed"
    # A stop that ended is tried again as a whole: somebody may have mended what failed.
    world.seen.clear()
    world.fail.clear()
    await until_killed(world, stop)
    assert [device for _, device, _ in world.seen] == list(reversed(DEVICES))
    assert world.written()["close", "net"] == "done"


async def test_a_start_that_fails_has_outcomes_too(tmp_path: Path) -> None:
    """Those that were opened, the one that failed, and all that were closed."""
    world = Housed(tmp_path)
    world.fail["open", "net"] = PermanentError("no bridge")
    async with warden(world) as here:
        with pytest.raises(PermanentError):
            await here.start(world.definition())
    written = world.written()
    assert written["open", "net"] == "failed"
    assert set(written.values()) == {"done", "failed"}
    assert world.open_devices == set()


VERBS: dict[str, Callable[[Warden], Awaitable[object]]] = {
    "status": lambda here: here.status(),
    "recover": lambda here: here.recover(),
    "stop": stop,
}


def points_of(directory: Path, *, stopping: bool) -> list[str]:
    """Return the points that a start, or a stop, passes."""

    async def run() -> list[str]:
        world = Housed(directory)
        await until_killed(world, start(world))
        if stopping:
            world.points.clear()
            await until_killed(world, stop)
        return [*world.points]

    return asyncio.run(run())


@pytest.mark.parametrize("stopping", [False, True], ids=["start", "stop"])
@pytest.mark.parametrize("verb", VERBS)
def test_a_kill_at_any_point_leaves_no_device_half_open(
    memory_directory: Path, verb: str, stopping: bool
) -> None:
    """The domain runs with all of its devices, or it does not and all of them are closed."""

    async def run(directory: Path, index: int, die_in: tuple[str, str] | None = None) -> None:
        world = Housed(directory)
        if stopping:
            await until_killed(world, start(world))
            world.points.clear()
        world.kill_at = index
        world.die_in = die_in
        await until_killed(world, stop if stopping else start(world))
        async with warden(world) as here:
            with contextlib.suppress(PermanentError):  # it was never known here
                await VERBS[verb](here)
            found = await here.status()
        state = world.states()["a"]
        assert world.open_devices == (set(DEVICES) if state == "running" else set()), index
        assert all(state == "begun" for _, _, state in world.seen), world.seen
        for status in found:
            assert status.settled == ()  # nothing was left for this look
            desired = Desired.RUNNING if state == "running" else Desired.STOPPED
            assert status.desired is desired, index
            written = world.written()
            if state == "running":  # an interrupted stop that had stopped nothing is no stop
                assert {written["open", device] for device in DEVICES} == {"done"}
            else:  # an interrupted open has no outcome but its close
                assert {written["close", device] for device in DEVICES} == {"done"}
        async with warden(world) as here:
            if state != "running":
                await here.start(world.definition())
            assert world.open_devices == set(DEVICES)
            await here.stop("web1")
        assert world.open_devices == set()

    points = points_of(memory_directory / "whole", stopping=stopping)
    assert len(points) >= 4
    for index in range(len(points)):
        asyncio.run(run(memory_directory / f"{index}", index))
        shutil.rmtree(memory_directory / f"{index}")
    for device in DEVICES:
        hook = "close" if stopping else "open"
        asyncio.run(run(memory_directory / device, -1, (hook, device)))


async def test_a_stop_that_stopped_nothing_is_no_start_either(tmp_path: Path) -> None:
    """A domain that was to be stopped and still runs goes on, and each look says no more."""
    world = Housed(tmp_path)
    await until_killed(world, start(world))

    def die() -> None:
        raise Killed

    world.on_point = {"stop journal intent after": die}
    await until_killed(world, stop)
    async with warden(world) as here:
        for _ in range(2):
            (status,) = await here.status()
            assert (status.state, status.settled) == (RunState.RUNNING, ())
        history = await here._hub.site.journal.history("web1")
        assert [record.kind for record in history] == ["started"]
        world.engine("a").write("web1", state="ended")  # and later ends by itself
        (status,) = await here.status()
    assert [one.outcome for one in status.settled] == [Outcome.STOPPED]
    assert world.open_devices == set()


async def test_a_look_while_a_domain_is_being_started_says_so(tmp_path: Path) -> None:
    """And touches nothing of what the other process makes."""
    world = Housed(tmp_path)
    world.die_in = ("open", "net")
    await until_killed(world, start(world))
    async with warden(world) as here, warden(world) as other:
        plan = await here.plan("web1", "b")
        assert [r.code for r in plan.refusals] == ["not-running", "unfinished"]
        assert "start or stop" in plan.refusals[1].reason
        with other._hub.lock("web1"):
            (status,) = await here.status()
        (one,) = status.settled
        assert (one.outcome, one.migration) == (Outcome.WAITING, "")
        assert one.detail == "another process acts on domain web1"
        assert world.open_devices != set()
        (status,) = await here.status()
        (one,) = status.settled
        assert one.outcome is Outcome.STOPPED
        assert one.detail == "its start was interrupted; its devices are closed"
        assert (status.state, status.desired) == (RunState.ABSENT, Desired.STOPPED)

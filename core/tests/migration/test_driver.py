"""A move is driven by a process of its own, which survives its caller and is watched."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from domwarden.contract import RefusedError
from domwarden.migration import Moment, Moved, MoveFailedError, Outcome, Saved, What
from domwarden.migration.crash import ENVIRONMENT, KNOWN_POINTS
from domwarden.migration.request import Request, Result, Verb, drive
from domwarden.migration.spare import Spare

from .helpers import MEMORY, recover, running_domain
from .world import World

PROGRAM = (sys.executable, str(Path(__file__).with_name("toy_driver.py")))


async def driven(
    world: World, verb: Verb = Verb.MIGRATE, observer: list[Moment] | None = None, **more: object
) -> Result:
    """Have a driver process do it."""
    request = Request(world.host_file("a"), verb, domain="web1", peer="b", **more)  # type: ignore[arg-type]  # a path, in one test
    heard = observer if observer is not None else []
    return await drive(request, heard.append, program=PROGRAM)


@pytest.fixture
def world(memory_directory: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("TOY_WORLD", str(memory_directory))
    return World(memory_directory)


async def test_a_driver_process_moves_a_domain_and_tells_of_it(world: World) -> None:
    """Moments and result arrive as if the caller had done it itself."""
    await running_domain(world)
    heard: list[Moment] = []
    moved = await driven(world, observer=heard)
    assert isinstance(moved, Moved)
    assert moved.blackout_seconds is not None
    assert world.running() == ["b"]
    assert {What.SUSPENDED, What.RELEASED, What.RUNNING, What.BLACKOUT} <= {m.what for m in heard}


async def test_a_refusal_keeps_its_meaning(world: World) -> None:
    """All reasons reach the caller as they were said."""
    await running_domain(world)
    world.engine("a").write("web1", blockers=["glue", "tape"])
    with pytest.raises(RefusedError) as caught:
        await driven(world)
    assert [r.code for r in caught.value.refusals] == ["glue", "tape"]


async def test_a_save_is_driven_too(world: World) -> None:
    """The result names path and nonce."""
    await running_domain(world)
    path = world.directory / "save"
    saved = await driven(world, Verb.SAVE, path=path)
    assert isinstance(saved, Saved)
    assert saved.path == path
    assert world.running() == []


@pytest.mark.parametrize("point", sorted(KNOWN_POINTS))
async def test_a_killed_driver_is_recovered_at_once_by_its_watcher(
    world: World, point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGKILL at every known point: one copy runs, whole, before the caller even knows."""
    if point in {"during-abort", "aborted-not-resumed"}:
        monkeypatch.setenv("TOY_FAIL", "a complete")
    await running_domain(world)
    monkeypatch.setenv(ENVIRONMENT, point)
    try:
        result = await driven(world)
    except MoveFailedError as error:
        outcome = error.settled.outcome
        assert (outcome, "died" in str(error)) == (Outcome.RESUMED, True)  # noqa: PT017 - or it arrived
        assert world.states() == {"a": "running", "b": "absent"}
        assert world.memory("a") == MEMORY
    else:
        assert isinstance(result, Moved)
        assert "died" in result.alarms[0]
        assert world.states() == {"a": "absent", "b": "running"}
        assert world.memory("b") == MEMORY
    assert await recover(world, "ab") == []


async def test_a_guest_that_cannot_be_resumed_yet_is_tried_again_without_a_verb(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The watcher stays with what waits, and lets it run as soon as that is possible."""
    monkeypatch.setenv("TOY_FAIL", "a complete")
    await running_domain(world)
    world.engine("a").write("web1", stubborn=True)
    with pytest.raises(MoveFailedError) as caught:
        await driven(world)
    assert caught.value.settled.outcome is Outcome.WAITING
    assert world.states()["a"] == "suspended"
    world.engine("a").write("web1", stubborn=False)
    async with asyncio.timeout(30):
        while world.states() != {"a": "running", "b": "absent"}:  # noqa: ASYNC110 - another process's
            await asyncio.sleep(0.02)
    assert world.memory("a") == MEMORY


async def test_the_move_survives_its_caller(world: World) -> None:
    """A caller that is cancelled, or dies, leaves the driver to finish."""
    await running_domain(world)
    request = Request(world.host_file("a"), Verb.MIGRATE, domain="web1", peer="b")
    task = asyncio.create_task(drive(request, lambda _moment: task.cancel(), program=PROGRAM))
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(30):
        while world.states() != {"a": "absent", "b": "running"}:  # noqa: ASYNC110 - another process's
            await asyncio.sleep(0.02)


async def test_a_caller_that_stopped_reading_holds_nobody_up(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its caller stopped at the terminal, a killed driver is recovered all the same."""
    await running_domain(world)
    monkeypatch.setenv(ENVIRONMENT, "pre-switchover")
    request = Request(world.host_file("a"), Verb.MIGRATE, domain="web1", peer="b")
    reading, writing = os.pipe()
    try:
        os.set_blocking(writing, False)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(writing, bytes(4096))
        os.set_blocking(writing, True)
        process = await asyncio.create_subprocess_exec(
            *PROGRAM, stdin=asyncio.subprocess.PIPE, stdout=writing, start_new_session=True
        )
        await process.communicate(json.dumps(request.as_json()).encode() + b"\n")
        async with asyncio.timeout(30):
            while "address" not in world.engine("a").read("web1"):  # noqa: ASYNC110 - another process's
                await asyncio.sleep(0.02)
            while world.states() != {"a": "running", "b": "absent"}:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.02)
    finally:
        os.close(writing)
        os.close(reading)


async def test_a_spare_driver_waits_to_be_told_and_loads_drivers_meanwhile(world: World) -> None:
    """What it cannot load hinders nothing: the move that needs it will say so."""
    await running_domain(world)
    spare = Spare.start(PROGRAM)
    spare.load([("engine", "embedded"), ("device", "nobody-has-this")])
    request = Request(world.host_file("a"), Verb.MIGRATE, domain="web1", peer="b")
    assert isinstance(await drive(request, lambda _moment: None, spare=spare), Moved)
    assert world.running() == ["b"]


def test_a_spare_driver_ends_with_its_caller() -> None:
    """The end of its input is all that it needs to know, and it leaves without a word."""
    process = subprocess.Popen(PROGRAM, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.communicate(timeout=60) == (b"", None)
    assert process.returncode == 0


async def test_a_spare_driver_that_died_is_replaced(world: World) -> None:
    """A move never fails for want of what was only to make it faster."""
    await running_domain(world)
    died = Spare.start((sys.executable, "-c", ""))
    async with asyncio.timeout(30):
        while died.alive:  # noqa: ASYNC110 - another process's end
            await asyncio.sleep(0.02)
    request = Request(world.host_file("a"), Verb.MIGRATE, domain="web1", peer="b")
    moved = await drive(request, lambda _moment: None, spare=died, program=PROGRAM)
    assert isinstance(moved, Moved)

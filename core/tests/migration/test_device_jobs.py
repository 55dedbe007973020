"""Each device's open, finish, recover and close is written down before and after it runs."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import shutil
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domwarden.contract import PermanentError
from domwarden.journal import StepState
from domwarden.migration import MoveFailedError
from domwarden.migration.crash import KNOWN_POINTS

from .helpers import move, recover, running_domain
from .test_crashes import check_whole, killed
from .world import Killed, World


def written(world: World, host: str) -> dict[tuple[str, str], str]:
    """Return what is durable on a host about each device's jobs: (hook, device) to state."""
    file = world.hosts[host].state_directory / "journal.sqlite"
    with contextlib.closing(sqlite3.connect(file)) as connection:
        rows = connection.execute(
            "SELECT hook, device, json_extract(record, '$.state') FROM jobs"
        ).fetchall()
    return {(hook, device): state for hook, device, state in rows}


class Watched(World):
    """Looks into the journal whenever a device's job runs."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        #: (host, hook, device): what was durable when the job ran, one a run.
        self.seen: dict[tuple[str, str, str], list[str | None]] = collections.defaultdict(list)
        self.fail: dict[tuple[str, str, str], Exception] = {}
        self.die_in: tuple[str, str, str] | None = None
        self.points_at_kill: list[str] = []
        for device in self.devices:
            hooks = ("open", "finish", "close")
            self.options[device] = {hook: self._look(hook) for hook in hooks}
            for step in ("PREPARE", "START", "SYNC"):
                self.options[device][f"recover {step}"] = self._look("recover")

    def _look(self, hook: str) -> Any:
        async def job(domain: Any, _context: Any) -> None:
            key = (domain.host.name, hook, domain.device)
            self.seen[key].append(written(self, domain.host.name).get((hook, domain.device)))
            if self.die_in == key:
                self.die_in = None
                raise Killed(key)
            if key in self.fail:
                raise self.fail[key]

        return job


async def test_each_job_of_a_whole_move_has_its_intent_before_and_its_outcome_after(
    tmp_path: Path,
) -> None:
    """The intent is durable when the job runs; nothing is left open at the end."""
    world = Watched(tmp_path)
    await running_domain(world)
    await move(world)
    assert set(world.seen) == {
        (host, hook, device)
        for host, hook in (("b", "open"), ("b", "finish"), ("a", "finish"), ("a", "close"))
        for device in world.devices
    }
    assert all(seen == ["begun"] for seen in world.seen.values()), world.seen
    for host in world.hosts:
        assert set(written(world, host).values()) == {"done"}


async def test_each_job_of_a_move_that_is_given_up_has_both_too(tmp_path: Path) -> None:
    """On both ends, for those undone before the source goes on and those undone after it."""
    world = Watched(tmp_path)
    world.devices = ("disk", "net", "late")
    world.skips = {("disk", "START"), ("disk", "SYNC")}
    world.options["net"]["receive SYNC"] = PermanentError("no")
    world.fail["a", "recover", "net"] = PermanentError("it stays")
    await running_domain(world)
    with pytest.raises(MoveFailedError):
        await move(world)
    undone = {(h, d) for h, hook, d in world.seen if hook == "recover"}
    assert {("a", "disk"), ("a", "net"), ("b", "net")} <= undone
    assert all(seen == ["begun"] for seen in world.seen.values()), world.seen
    states = written(world, "a")
    assert states.pop(("recover", "net")) == "failed"
    assert set(states.values()) == {"done"}
    assert set(written(world, "b").values()) == {"done"}


def points_between(points: list[str], first: str, last: str) -> list[str]:
    """Return the journal writes that were begun from one point to another."""
    passed = points[points.index(first) : points.index(last)]
    return sorted(point for point in passed if "journal" in point and point.endswith("before"))


async def test_no_write_is_added_while_the_domain_stands_still(tmp_path: Path) -> None:
    """The stand-still has the writes that its safety needs, and none for the other jobs."""
    world = World(tmp_path)
    await running_domain(world)
    await move(world)
    suspended = KNOWN_POINTS["pre-switchover"]
    activated = KNOWN_POINTS["running-not-seen"]
    assert points_between(world.points, suspended, activated) == [
        "destination journal granted before",
        "destination journal ready before",
        "destination journal start intents before",
        "destination journal sync intents before",
        "source journal released before",
        "source journal start intents before",
        "source journal sync intents before",
    ]


async def test_no_write_is_added_while_a_move_is_given_up(tmp_path: Path) -> None:
    """The intents go with the abort at the source, and with its own word at the destination."""
    world = World(tmp_path)
    await running_domain(world)
    world.options = {"net": {"receive SYNC": PermanentError("no")}}
    with pytest.raises(MoveFailedError):
        await move(world)
    aborted, resumed = "source journal aborted before", "source engine abort before"
    assert points_between(world.points, aborted, resumed) == [
        "destination journal gave-up before",
        "destination journal recovered-late before",
        "source journal aborted before",
        "source journal recovered-late before",
    ]


def whole_move(directory: Path, kill_at: int | None, *, fail: bool = False) -> Watched:
    """Move, or fail to, killed at a point; then recover until nothing is left."""

    async def run() -> Watched:
        world = Watched(directory)
        if fail:
            world.options["net"]["receive SYNC"] = PermanentError("no")
        await running_domain(world)
        with contextlib.suppress(MoveFailedError):
            await killed(world, kill_at)
        before = {host: written(world, host) for host in world.hosts}
        ran = {key: len(seen) for key, seen in world.seen.items()}
        world.points_at_kill = list(world.points)
        await recover(world, "ba" if kill_at and kill_at % 2 else "ab")
        await check_whole(world)
        check_each_ended(world, before, ran)
        return world

    return asyncio.run(run())


def check_each_ended(
    world: Watched,
    before: dict[str, dict[tuple[str, str], str]],
    ran: dict[tuple[str, str, str], int],
) -> None:
    """Whatever was begun ended; what had ended before did not run again; nothing was skipped."""
    for host in world.hosts:
        after = written(world, host)
        for (hook, device), state in after.items():
            if hook != "open":  # an interrupted open is undone, not repeated
                assert state == "done", (host, hook, device, state)
            again = len(world.seen[host, hook, device]) - ran.get((host, hook, device), 0)
            if before[host].get((hook, device)) in {"done", "failed"}:
                assert again == 0, (host, hook, device)
        assert all(seen and set(seen) == {"begun"} for seen in world.seen.values() if seen)
    owner = world.running()[0]
    for device in world.devices:
        if owner == "b":
            for key in (("b", "finish"), ("a", "finish"), ("a", "close")):
                assert world.seen[*key, device], (key, device)
        elif world.seen["b", "open", device]:
            assert world.seen["b", "close", device], device


@pytest.mark.parametrize("fail", [False, True], ids=["whole", "given-up"])
def test_a_kill_before_or_after_each_of_these_writes_skips_no_job(
    memory_directory: Path, fail: bool
) -> None:
    """Each device's finish, recover and close runs to its end; what had ended is not repeated."""
    whole = whole_move(memory_directory / "whole", None, fail=fail)
    points = whole.points_at_kill
    last = "source journal aborted before" if fail else KNOWN_POINTS["running-not-seen"]
    begun = [points.index("destination journal opened before"), points.index(last)]
    writes = [
        index
        for index, point in enumerate(points)
        if "journal" in point and (index >= begun[1] or "opened" in point or "listening" in point)
    ]
    assert len(writes) > 8
    for index in writes:
        whole_move(memory_directory / f"{index}", index, fail=fail)
        shutil.rmtree(memory_directory / f"{index}")


#: Each job beside the four steps: (host, hook).
JOBS = (("b", "open"), ("b", "finish"), ("a", "finish"), ("a", "close"))


@settings(max_examples=12)
@given(
    where=st.sampled_from(JOBS),
    device=st.sampled_from(["disk", "net"]),
    hosts=st.sampled_from(["a", "b", "ba", "ab"]),
    failing=st.sets(st.sampled_from([(h, k, d) for h, k in JOBS[1:] for d in ("disk", "net")])),
)
def test_a_kill_inside_any_job_repeats_those_without_an_outcome(
    where: tuple[str, str],
    device: str,
    hosts: str,
    failing: set[tuple[str, str, str]],
) -> None:
    """Jobs that failed have their outcome too: they alarm once and keep no other from its end."""

    async def run(directory: Path) -> None:
        world = Watched(directory)
        world.die_in = (*where, device)
        world.fail = {key: PermanentError("no") for key in failing}
        await running_domain(world)
        assert await killed(world, None)
        before = {host: written(world, host) for host in world.hosts}
        ran = {key: len(seen) for key, seen in world.seen.items()}
        await recover(world, hosts)
        await recover(world, "ab")
        await check_whole(world)
        killed_in = (*where, device)
        if where[1] != "open":
            assert len(world.seen[killed_in]) == 2
        for host, jobs in before.items():
            for (hook, name), state in jobs.items():
                if state in {"done", "failed"}:
                    assert len(world.seen[host, hook, name]) == ran[host, hook, name]
        for host in world.hosts:
            for (hook, name), state in written(world, host).items():
                wanted = "failed" if (host, hook, name) in failing else "done"
                assert hook == "open" or state == wanted, (host, hook, name, state)

    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as directory:
        asyncio.run(run(Path(directory)))


async def test_closes_are_repeated_last_first_after_a_kill(tmp_path: Path) -> None:
    """A recovery keeps the order, and leaves out what a failure had made durable meanwhile."""
    world = Watched(tmp_path)
    world.devices = ("one", "two", "three", "four")
    for device in world.devices:
        world.options[device] = {"close": world._look("close")}
    world.fail["a", "close", "four"] = PermanentError("no")  # its alarm is a write
    world.die_in = ("a", "close", "two")
    await running_domain(world)
    assert await killed(world, None)
    world.said.clear()
    await recover(world, "a")
    closed = [device for host, device, hook, _ in world.said if (host, hook) == ("a", "close")]
    assert closed == ["three", "two", "one"]
    states = written(world, "a")
    assert [states["close", device] for device in world.devices] == ["done"] * 3 + ["failed"]


async def test_the_ticket_of_an_open_outlives_the_process(tmp_path: Path) -> None:
    """A device that only opens knows in its close what it did, after a crash too."""
    world = World(tmp_path)
    world.devices = ("disk",)
    await running_domain(world)
    given_later: list[object] = []

    async def close(domain: Any, _context: Any) -> None:
        given_later.append(domain.given)

    async def opened(_domain: Any, _context: Any) -> dict[str, str]:
        return {"made": "this"}

    world.skips = {("disk", step) for step in ("PREPARE", "START", "SYNC")}
    world.options = {"disk": {"open": opened, "close": close}}

    def die() -> None:
        raise Killed

    world.on_point = {"destination journal listening after": die}
    assert await killed(world, None)
    await recover(world, "a")
    assert given_later == [{"made": "this"}]
    assert StepState.DONE in written(world, "b").values()

"""What fails before the release aborts, what fails after it alarms."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from domwarden.contract import (
    GuestStoppedError,
    PermanentError,
    Refusal,
    RefusedError,
    TransientError,
    WatchdogEntry,
)
from domwarden.migration import MoveFailedError, Outcome, Timeline, What, plan_move

from .helpers import MEMORY, move, recover, running_domain
from .world import Killed, World


async def test_all_refusals_of_both_ends_come_at_once(tmp_path: Path) -> None:
    """Devices at both ends, the engine and the destination's host are all heard before anything."""
    world = World(tmp_path)
    await running_domain(world)

    async def refuse(*_: object) -> Refusal:
        return Refusal("no-way", "it cannot", "do not")

    world.options = {"disk": {"migrate TEST": refuse}, "net": {"receive TEST": refuse}}
    world.engine("a").write("web1", blockers=["glue"])
    world.engine("b").write("web1", state="ended", unwelcome=["avx"])
    with pytest.raises(RefusedError) as caught:
        await move(world)
    found = {(r.host, r.device, r.code) for r in caught.value.refusals}
    assert found == {
        ("a", "disk", "no-way"),
        ("b", "net", "no-way"),
        ("a", "", "glue"),
        ("b", "", "already-there"),
        ("b", "", "avx"),
    }
    assert world.running() == ["a"]
    assert not any(hook in {"open", "recover"} for _, _, hook, _ in world.said)


async def test_a_dry_plan_changes_nothing(tmp_path: Path) -> None:
    """Neither journal nor hypervisor nor any device but at TEST hears of a plan."""
    world = World(tmp_path)
    await running_domain(world)
    async with world.hub("a") as hub:
        found = await plan_move(hub, "web1", "b")
        assert found.refusals == ()
        assert await hub.site.journal.unfinished() == []
    assert not any("journal" in point for point in world.points)
    assert {step for _, _, _, step in world.said} == {"TEST"}
    assert world.states() == {"a": "running", "b": "absent"}


async def test_a_blocker_that_a_device_clears_does_not_refuse(tmp_path: Path) -> None:
    """What a device's PREPARE removes is no refusal, unless it is still there afterwards."""
    world = World(tmp_path)
    await running_domain(world)
    world.engine("a").write("web1", blockers=["glue"])
    world.options = {"disk": {"clears": ("glue",)}}
    with pytest.raises(MoveFailedError, match="glue is in the way"):
        await move(world)
    assert world.running() == ["a"]

    async def unglue(*_: object) -> None:
        world.engine("a").write("web1", blockers=[])

    world.options["disk"]["migrate PREPARE"] = unglue
    await move(world)
    assert world.running() == ["b"]


@pytest.mark.parametrize("hook", ["migrate", "receive"])
@pytest.mark.parametrize("step", ["PREPARE", "START", "SYNC"])
async def test_a_failing_device_brings_the_domain_back(
    tmp_path: Path, hook: str, step: str
) -> None:
    """A job that fails at any step before the release aborts, with the device's reason."""
    world = World(tmp_path)
    await running_domain(world)
    world.options = {"net": {f"{hook} {step}": PermanentError("cable pulled", hint="plug it")}}
    with pytest.raises(MoveFailedError, match=r"net at .*: cable pulled") as caught:
        await move(world)
    assert caught.value.settled.outcome is Outcome.RESUMED
    assert world.states() == {"a": "running", "b": "absent"}
    assert world.memory("a") == MEMORY
    assert await recover(world, "ab") == []


async def test_recover_runs_in_reverse_order_and_early_devices_after_the_resume(
    tmp_path: Path,
) -> None:
    """Begun at START or SYNC: last first, before the source runs; only at PREPARE: after it."""
    world = World(tmp_path)
    world.devices = ("one", "two", "three", "four")
    await running_domain(world)

    # "two" has no job at START and SYNC; "one" has.
    world.options = {"four": {"migrate SYNC": PermanentError("no")}}
    world.skips = {("two", "START"), ("two", "SYNC"), ("three", "SYNC")}
    timeline = Timeline()
    with pytest.raises(MoveFailedError):
        await move(world, observer=timeline)
    recovered = [(d, s) for host, d, hook, s in world.said if host == "a" and hook == "recover"]
    assert recovered == [("four", "SYNC"), ("one", "SYNC"), ("three", "START"), ("two", "PREPARE")]
    resumed = next(i for i, m in enumerate(timeline.moments) if m.what is What.RESUMED)
    began = {
        m.device: i
        for i, m in enumerate(timeline.moments)
        if m.what is What.JOB_BEGUN and m.step == "recover" and m.host == "a"
    }
    assert began["three"] < resumed < began["two"]


async def test_every_device_is_recovered_even_if_another_fails(tmp_path: Path) -> None:
    """A recover job that fails or lies is an alarm, and the next one still runs."""
    world = World(tmp_path)
    await running_domain(world)
    world.options = {
        "net": {"migrate START": PermanentError("no"), "recover START": ValueError("oops")},
    }
    with pytest.raises(MoveFailedError) as caught:
        await move(world)
    recovered = [d for host, d, hook, _ in world.said if host == "a" and hook == "recover"]
    assert recovered == ["net", "disk"]
    (alarm,) = caught.value.settled.alarms
    assert "toy-devices 1.2" in alarm
    assert "ValueError: oops" in alarm
    assert world.running() == ["a"]


@pytest.mark.parametrize("host", ["a", "b"])
async def test_a_failure_after_the_release_alarms_and_goes_on(tmp_path: Path, host: str) -> None:
    """finish and close may fail: the domain runs at its destination all the same."""
    world = World(tmp_path)
    await running_domain(world)

    async def fail(domain: object, _: object) -> None:
        if domain.host.name == host:  # type: ignore[attr-defined]  # a Domain, through the recorder
            raise PermanentError("no announcement")

    world.options = {"net": {"finish": fail}}
    moved = await move(world)
    assert world.running() == ["b"]
    assert len(moved.alarms) == (1 if host == "a" else 0)
    async with world.hub(host) as hub:
        history = await hub.site.journal.history("web1")
    assert [h.kind for h in history].count("alarm") == 1


async def test_a_bug_of_a_driver_is_named_with_its_distribution(tmp_path: Path) -> None:
    """Whatever else a job raises or returns is reported as that distribution's bug."""
    world = World(tmp_path)
    for wrong in (KeyError("x"), lambda *_: _wrong({1: 2}), lambda *_: _wrong({"x": "y" * 70_000})):
        await running_domain(world)
        world.options = {"disk": {"migrate PREPARE": wrong}}
        with pytest.raises(MoveFailedError, match=r"toy-devices 1\.2: device 'disk' at prepare"):
            await move(world)
        assert world.running() == ["a"]


async def _wrong(value: object) -> object:
    return value


async def test_a_transient_error_is_tried_again(tmp_path: Path) -> None:
    """TransientError waits its delay and runs the job again, within the job's time-out."""
    world = World(tmp_path)
    await running_domain(world)
    tries = []

    async def flaky(*_: object) -> None:
        tries.append(1)
        if len(tries) < 3:
            raise TransientError("busy", delay=7.0)

    world.options = {"disk": {"migrate START": flaky}}
    await move(world)
    assert len(tries) == 3
    assert world.slept == [7.0, 7.0]


async def test_a_job_that_hangs_is_given_up_after_its_time_out(tmp_path: Path) -> None:
    """The time-out counts from the last report; its failure names device and step."""
    world = World(tmp_path)
    await running_domain(world)

    async def hang(*_: object) -> None:
        await asyncio.Event().wait()

    world.options = {"disk": {"migrate SYNC": hang, "timeout": 0.05}}
    with pytest.raises(MoveFailedError, match=r"disk at sync on a: .* not finish within 0\.05 s"):
        await move(world)
    assert world.running() == ["a"]


async def test_a_watchdog_on_the_hosts_clock_refuses_a_blackout_that_is_too_long(
    tmp_path: Path,
) -> None:
    """What a device announces at TEST counts into the predicted blackout."""
    world = World(tmp_path)
    world.watchdog = WatchdogEntry("toy", timeout_seconds=10.0)
    await running_domain(world)

    async def slow(*_: object) -> dict[str, float]:
        return {"blackout_seconds": 6.0}

    async with world.hub("a") as hub:
        assert (await plan_move(hub, "web1", "b")).refusals == ()
        world.options = {"disk": {"receive TEST": slow}}
        found = await plan_move(hub, "web1", "b")
    assert [r.code for r in found.refusals] == ["watchdog-too-short"]
    assert found.predicted_blackout_seconds == pytest.approx(6.3)


async def test_a_paused_domain_arrives_paused(tmp_path: Path) -> None:
    """What did not run does not run there either, and not when it comes back."""
    world = World(tmp_path)
    await running_domain(world, paused=True)
    world.options = {"net": {"migrate SYNC": PermanentError("no")}}
    with pytest.raises(MoveFailedError):
        await move(world)
    assert world.states() == {"a": "paused", "b": "absent"}
    world.options = {}
    moved = await move(world)
    assert not moved.running
    assert world.states() == {"a": "absent", "b": "paused"}


async def test_a_domain_goes_there_and_back(tmp_path: Path) -> None:
    """Each move raises the epoch, so that the old host takes nothing by itself."""
    world = World(tmp_path)
    await running_domain(world)
    await move(world)
    await move(world, "b", "a")
    await move(world)
    assert world.states() == {"a": "absent", "b": "running"}
    assert world.memory("b") == MEMORY


async def test_a_cancelled_caller_brings_the_domain_back(tmp_path: Path) -> None:
    """Ctrl-C in the process that drives the move is a failure like another."""
    world = World(tmp_path)
    await running_domain(world)
    waiting = asyncio.Event()

    async def hang(*_: object) -> None:
        waiting.set()
        await asyncio.Event().wait()

    world.options = {"disk": {"migrate START": hang}}
    task = asyncio.create_task(move(world))
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert world.states() == {"a": "running", "b": "absent"}
    assert await recover(world, "ab") == []


@pytest.mark.parametrize("command", ["precopy", "suspend"])
async def test_a_guest_that_its_watchdog_stopped_stays_so_where_it_is(
    tmp_path: Path, command: str
) -> None:
    """It runs neither at its destination nor at its source, whatever the engine did."""
    world = World(tmp_path)
    await running_domain(world)
    world.faults.after["a", command] = GuestStoppedError("its watchdog fired")
    if command == "precopy":
        world.on_point = {
            "source engine precopy before": lambda: world.engine("a").write("web1", state="paused")
        }
    with pytest.raises(MoveFailedError) as caught:
        await move(world)
    assert caught.value.settled.outcome is Outcome.RESUMED
    assert "stays paused" in caught.value.settled.detail
    assert world.states() == {"a": "paused", "b": "absent"}


async def test_a_guest_that_is_stopped_while_its_move_is_prepared_does_not_move(
    tmp_path: Path,
) -> None:
    """PREPARE may take hours; the guest that stands still then would run at its destination."""
    world = World(tmp_path)
    await running_domain(world)

    async def prepare(*_: object) -> None:
        world.engine("a").write("web1", state="paused")

    world.options = {"disk": {"migrate PREPARE": prepare}}
    with pytest.raises(MoveFailedError, match="stopped while its move was prepared"):
        await move(world)
    assert world.states() == {"a": "paused", "b": "absent"}


async def test_a_stopped_guest_stays_so_though_its_driver_died(tmp_path: Path) -> None:
    """Whether the abort was written down before or not."""
    for point in ("source journal aborted before", "source journal aborted after"):
        world = World(tmp_path / point.split()[-1])
        await running_domain(world)
        world.faults.after["a", "precopy"] = GuestStoppedError("its watchdog fired")

        def die(world: World = world) -> None:
            world.engine("a").write("web1", state="paused")
            raise Killed("died")

        world.on_point = {point: die}
        with pytest.raises(Killed):
            await move(world)
        await recover(world, "a")
        assert world.states() == {"a": "paused", "b": "absent"}

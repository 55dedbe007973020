"""The user's time-out for a device and step replaces the one of the driver's job."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path

import pytest

from domwarden.contract import Definition, Job, Step
from domwarden.journal import Hook
from domwarden.migration import MoveFailedError, Outcome, Timeline, What, plan_move
from domwarden.migration.jobs import bounded
from domwarden.plan import JOB_STAGES

from .embedded_world import EmbeddedWorld
from .helpers import move, running_domain

#: Longer than a test waits; the jobs of the recorder ask for 5 s.
SHORT_SECONDS = 0.05


class HangingWorld(EmbeddedWorld):
    """A disk that hangs in one of its jobs, and whose user has less patience than its driver."""

    def __init__(self, directory: Path, job: str, step: str) -> None:
        super().__init__(directory)
        self.step = step
        self.options = {"disk": {job: self._hang}}

    async def _hang(self, *_: object) -> None:
        await asyncio.Event().wait()

    def definition(self, name: str = "web1") -> Definition:
        made = super().definition(name)
        timeouts = {"disk": {self.step: SHORT_SECONDS}, "net": {}}
        entries = (dataclasses.replace(e, timeouts=timeouts[e.id]) for e in made.devices)
        return dataclasses.replace(made, devices=tuple(entries))


def cut_off(step: str, host: str) -> str:
    """Return what the failure of the hanging disk says."""
    return f"disk at {step} on {host}: .* did not finish within {SHORT_SECONDS:g} s"


@pytest.mark.parametrize(
    ("job", "step", "host"),
    [
        ("open", "open", "b"),
        ("migrate PREPARE", "prepare", "a"),
        ("receive PREPARE", "prepare", "b"),
        ("migrate START", "start", "a"),
        ("receive START", "start", "b"),
        ("migrate SYNC", "sync", "a"),
        ("receive SYNC", "sync", "b"),
    ],
)
async def test_a_job_that_hangs_before_the_release_aborts_the_move_at_the_users_time(
    tmp_path: Path, job: str, step: str, host: str
) -> None:
    """At the destination too, which knows of it from the live definition."""
    world = HangingWorld(tmp_path, job, step)
    await running_domain(world)
    with pytest.raises(MoveFailedError, match=cut_off(step, host)) as caught:
        await move(world)
    assert caught.value.settled.outcome is Outcome.RESUMED
    assert world.running() == ["a"]
    world.close()


@pytest.mark.parametrize(("job", "host"), [("finish", "a"), ("finish", "b"), ("close", "a")])
async def test_a_job_that_hangs_after_the_release_alarms_at_the_users_time(
    tmp_path: Path, job: str, host: str
) -> None:
    """The domain is at its destination all the same."""
    world = HangingWorld(tmp_path, job, job)
    await running_domain(world)
    timeline = Timeline()
    await move(world, observer=timeline)
    alarms = {m.host: m.detail for m in timeline.moments if m.what is What.ALARM}
    assert f"did not finish within {SHORT_SECONDS:g} s" in alarms[host]
    assert world.running() == ["b"]
    world.close()


async def test_a_recovery_that_hangs_alarms_at_the_users_time(tmp_path: Path) -> None:
    """The next device is recovered, and the domain goes on."""
    world = HangingWorld(tmp_path, "recover START", "recover")
    world.options["net"] = {"migrate START": ValueError("no")}
    await running_domain(world)
    with pytest.raises(MoveFailedError) as caught:
        await move(world)
    (alarm,) = [a for a in caught.value.settled.alarms if "at recover on a" in a]
    assert f"did not finish within {SHORT_SECONDS:g} s" in alarm
    assert world.running() == ["a"]
    world.close()


async def test_a_question_that_hangs_refuses_the_move_at_the_users_time(tmp_path: Path) -> None:
    """``plan`` waits no longer either."""
    world = HangingWorld(tmp_path, "receive TEST", "test")
    await running_domain(world)
    async with world.hub("a") as hub:
        (refusal,) = (await plan_move(hub, "web1", "b")).refusals
    assert (refusal.code, refusal.device, refusal.host) == ("driver-failed", "disk", "b")
    assert f"within {SHORT_SECONDS:g} s" in refusal.reason
    world.close()


def test_each_step_that_has_jobs_can_be_bounded() -> None:
    """A domain file knows the names under which jobs run, and no others."""
    steps = {step.name.lower() for step in Step} | {hook.value for hook in Hook}
    assert {stage.value for stage in JOB_STAGES} == steps - {"unknown"}


def test_other_devices_and_steps_keep_their_drivers_time_outs(tmp_path: Path) -> None:
    """Only what was asked for changes."""

    async def run(_context: object) -> None: ...

    definition = HangingWorld(tmp_path, "", "sync").definition()
    jobs = {"disk": Job("d", run, 9.0), "net": Job("n", run, 9.0), "watchdog": Job("w", run, 9.0)}

    def seconds(step: str) -> list[float]:
        return [job.timeout_seconds for job in bounded(definition, step, jobs).values()]

    assert seconds("sync") == [SHORT_SECONDS, 9.0, 9.0]
    assert seconds("start") == [9.0, 9.0, 9.0]

"""Runs the jobs of one step at the same time, each bounded, watched and explained."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from domwarden.contract import (
    Definition,
    DomwardenError,
    DriverError,
    Job,
    PermanentError,
    Refusal,
    TransientError,
)
from domwarden.migration.tickets import plain, ticket_fault

Sleep = Callable[[float], Awaitable[None]]
Report = Callable[[str, str, "int | None", "int | None"], None]
Ended = Callable[[str, "Outcome", float], None]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of one device's job: an error, or refusals, or a ticket, or nothing."""

    error: DomwardenError | None = None
    refusals: tuple[Refusal, ...] = ()
    ticket: Mapping[str, Any] | None = None
    cancelled: bool = False

    @property
    def failed(self) -> bool:
        """Whether the step cannot go on because of this job."""
        return self.error is not None or bool(self.refusals) or self.cancelled


@dataclasses.dataclass(frozen=True)
class Owner:
    """Whose job it is, for task names and for reports of bugs."""

    domain: str
    step: str
    host: str
    device: str
    distribution: str = "unnamed distribution"
    version: str = "of unknown version"

    @property
    def task_name(self) -> str:
        """The name of the job's task."""
        return f"{self.domain}/{self.step}/{self.device}"

    def bug(self, what: str) -> DriverError:
        """Word something that no correct driver does."""
        return DriverError(
            f"{self.distribution} {self.version}: device '{self.device}' at {self.step} on"
            f" {self.host}: {what}",
            distribution=self.distribution,
            version=self.version,
            hint="a bug of that distribution",
        )

    def failure(self, error: DomwardenError) -> DomwardenError:
        """Word an expected failure with the device and step it happened at."""
        failure = PermanentError(
            f"{self.device} at {self.step} on {self.host}: {error.message}", hint=error.hint
        )
        failure.__cause__ = error
        return failure


class _Context:
    """Lets a job report, and counts its time-out from there."""

    def __init__(
        self, timeout: asyncio.Timeout, seconds: float, report: Callable[..., None]
    ) -> None:
        self._timeout = timeout
        self._seconds = seconds
        self._report = report

    def report(
        self, message: str = "", *, done: int | None = None, total: int | None = None
    ) -> None:
        """Say how far the job is."""
        if not self._timeout.expired():
            self._timeout.reschedule(asyncio.get_running_loop().time() + self._seconds)
        self._report(message, done, total)


def bounded(definition: Definition, step: str, jobs: Mapping[str, Job]) -> dict[str, Job]:
    """Return jobs with the time-outs that the user set for their devices at that step."""
    wanted = {entry.id: entry.timeouts.get(step) for entry in definition.devices}
    return {
        device: job if (seconds := wanted.get(device)) is None
        else dataclasses.replace(job, timeout_seconds=seconds)
        for device, job in jobs.items()
    }  # fmt: skip


async def run_jobs(
    jobs: Mapping[str, Job],
    owners: Mapping[str, Owner],
    *,
    report: Report,
    ended: Ended,
    stop_early: bool,
    sleep: Sleep = asyncio.sleep,
) -> dict[str, Outcome]:
    """Run every job at once; return each device's outcome in the jobs' order.

    With ``stop_early`` the first failure cancels the others. Never raises for a job's failure.
    """
    outcomes: dict[str, Outcome] = {}
    tasks: dict[str, asyncio.Task[None]] = {}

    async def run(device: str, job: Job) -> None:
        begun = time.monotonic()
        try:
            outcome = await run_job(job, owners[device], lambda *said: report(device, *said), sleep)
        except asyncio.CancelledError:
            outcomes[device] = Outcome(cancelled=True)
            raise
        outcomes[device] = outcome
        ended(device, outcome, time.monotonic() - begun)
        if outcome.failed and stop_early:
            for other, task in tasks.items():
                if other != device:
                    task.cancel()

    async with asyncio.TaskGroup() as group:
        for device, job in jobs.items():
            name = owners[device].task_name
            tasks[device] = group.create_task(run(device, job), name=name)
    for device in jobs:
        # A task cancelled before its first line has no outcome of its own.
        outcomes.setdefault(device, Outcome(cancelled=True))
    return {device: outcomes[device] for device in jobs}


async def run_job(
    job: Job, owner: Owner, report: Callable[..., None], sleep: Sleep = asyncio.sleep
) -> Outcome:
    """Run one job within its time-out, again after each TransientError."""
    transient: TransientError | None = None
    last_try_at: float | None = None
    timeout = asyncio.timeout(job.timeout_seconds)
    try:
        async with timeout:
            context = _Context(timeout, job.timeout_seconds, report)
            while True:
                try:
                    return _judge(await job.run(context), owner)
                except TransientError as error:
                    transient = error
                    now = asyncio.get_running_loop().time()
                    # Reports put off a try's end, not the last try.
                    last_try_at = last_try_at or now + job.timeout_seconds
                    if now >= last_try_at:
                        return Outcome(error=owner.failure(_late(job, transient)))
                    await sleep(error.delay)
    except TimeoutError as error:
        if not timeout.expired():  # the job's own, which it should have worded
            return Outcome(error=owner.bug(f"job {job.name} raised {_one_line(error)}"))
        return Outcome(error=owner.failure(_late(job, transient)))
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        return Outcome(error=_caused(owner.bug(f"job {job.name} cancelled itself"), error))
    except DomwardenError as error:
        return Outcome(error=owner.failure(error))
    except Exception as error:  # noqa: BLE001 - whatever a stranger's driver raises is worded as its bug
        bug = owner.bug(f"job {job.name} raised {_one_line(error)}")
        return Outcome(error=_caused(bug, error))


def _late(job: Job, transient: TransientError | None) -> PermanentError:
    return PermanentError(
        f"{job.name} did not finish within {job.timeout_seconds:g} s of its last report"
        + (f"; last it said: {transient.message}" if transient else "")
    )


def _judge(result: object, owner: Owner) -> Outcome:
    if result is None:
        return Outcome()
    if isinstance(result, Refusal):
        return Outcome(refusals=(result,))
    if isinstance(result, list | tuple):
        if all(isinstance(item, Refusal) for item in result):
            return Outcome(refusals=tuple(result))
        return Outcome(error=owner.bug("returned a list of something else than refusals"))
    fault = ticket_fault(result)
    if fault is not None:
        return Outcome(error=owner.bug(fault))
    assert isinstance(result, Mapping)
    return Outcome(ticket=plain(result))


def _caused(error: DriverError, cause: BaseException) -> DriverError:
    error.__cause__ = cause
    return error


def _one_line(error: BaseException) -> str:
    words = " ".join(str(error).split())
    return f"{type(error).__name__}: {words}" if words else type(error).__name__

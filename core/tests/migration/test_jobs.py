"""One step's jobs run at once, each within its own time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from domwarden.contract import (
    EngineError,
    Job,
    JobContext,
    PermanentError,
    Refusal,
    TransientError,
)
from domwarden.migration.jobs import Outcome, Owner, run_jobs

pytestmark = pytest.mark.jumping_clock

Run = Callable[[JobContext], Awaitable[object]]


async def run(
    jobs: dict[str, Run], *, stop_early: bool = False, timeout_seconds: float = 5.0
) -> tuple[dict[str, Outcome], list[str]]:
    """Run jobs and return their outcomes and the order in which they ended."""
    ended: list[str] = []

    outcomes = await run_jobs(
        {name: Job(name, job, timeout_seconds) for name, job in jobs.items()},  # type: ignore[arg-type]  # wrong on purpose
        {name: Owner("web1", "start", "a", name, "dist", "1.0") for name in jobs},
        report=lambda *_: None,
        ended=lambda device, *_: ended.append(device),
        stop_early=stop_early,
    )
    return outcomes, ended


async def test_jobs_run_at_the_same_time_in_named_tasks() -> None:
    """Each waits for the other, which only works together."""
    here, there = asyncio.Event(), asyncio.Event()
    names = []

    async def one(_: JobContext) -> None:
        names.append(asyncio.current_task().get_name())  # type: ignore[union-attr]  # in a task
        here.set()
        await there.wait()

    async def two(_: JobContext) -> None:
        there.set()
        await here.wait()

    outcomes, _ = await run({"one": one, "two": two})
    assert not any(outcome.failed for outcome in outcomes.values())
    assert names == ["web1/start/one"]


async def test_the_first_failure_stops_the_others_where_that_is_wanted() -> None:
    """They are cancelled, and say so."""

    async def fail(_: JobContext) -> None:
        raise PermanentError("no")

    async def hang(_: JobContext) -> None:
        await asyncio.Event().wait()

    outcomes, ended = await run({"slow": hang, "bad": fail}, stop_early=True)
    assert outcomes["slow"].cancelled
    assert str(outcomes["bad"].error) == "bad at start on a: no"
    assert ended == ["bad"]


async def test_a_report_puts_the_time_out_off() -> None:
    """It counts from the last report."""

    async def slow(context: JobContext) -> None:
        for _ in range(6):
            await asyncio.sleep(0.06)
            context.report()

    async def silent(_: JobContext) -> None:
        await asyncio.sleep(0.18)

    outcomes, _ = await run({"slow": slow, "silent": silent}, timeout_seconds=0.1)
    assert not outcomes["slow"].failed
    assert "did not finish within 0.1 s of its last report" in str(outcomes["silent"].error)


async def test_a_job_that_stays_transient_is_given_up_with_its_reason() -> None:
    """When its time is over."""

    async def busy(_: JobContext) -> None:
        raise TransientError("still busy", delay=0.01)

    outcomes, _ = await run({"busy": busy}, timeout_seconds=0.05)
    assert "still busy" in str(outcomes["busy"].error)


async def test_reports_do_not_let_a_job_be_tried_for_ever() -> None:
    """Each try reports before it fails: the tries end with the first one's time all the same."""

    async def busy(context: JobContext) -> None:
        context.report("trying")
        raise TransientError("still busy", delay=0.01)

    async with asyncio.timeout(5):
        outcomes, _ = await run({"busy": busy}, timeout_seconds=0.05)
    assert "still busy" in str(outcomes["busy"].error)


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (5, "returned int"),
        ([1], "something else than refusals"),
        ({"a": float("nan")}, "not JSON"),
        ({"a": object()}, "not JSON"),
        ({1: 2}, "changes"),
        ({"a": "x" * 70_000}, "at most 65536"),
    ],
)
async def test_a_wrong_result_is_the_drivers_bug(result: object, words: str) -> None:
    """It is named with distribution and version."""

    async def job(_: JobContext) -> object:
        return result

    outcomes, _ = await run({"odd": job})
    assert "dist 1.0: device 'odd' at start on a" in str(outcomes["odd"].error)
    assert words in str(outcomes["odd"].error)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("two\nlines"), "raised ValueError: two lines"),
        (TimeoutError(), "raised TimeoutError"),
        (asyncio.CancelledError(), "cancelled itself"),
    ],
)
async def test_another_exception_is_the_drivers_bug(error: BaseException, words: str) -> None:
    """In one line, with its cause kept."""

    async def job(_: JobContext) -> None:
        raise error

    outcomes, _ = await run({"odd": job})
    failure = outcomes["odd"].error
    assert failure is not None
    assert words in str(failure)
    assert "bug" in failure.hint


async def test_an_engines_error_is_no_bug() -> None:
    """A driver that speaks to the hypervisor may fail as the hypervisor does."""

    async def job(_: JobContext) -> None:
        raise EngineError("no such node")

    outcomes, _ = await run({"disk": job})
    assert str(outcomes["disk"].error) == "disk at start on a: no such node"


async def test_refusals_and_tickets_are_kept_apart() -> None:
    """One refusal, several, a ticket, nothing."""
    refusal = Refusal("code", "reason", "remedy")

    def returns(value: object) -> Run:
        async def job(_: JobContext) -> object:
            return value

        return job

    outcomes, _ = await run(
        {
            "one": returns(refusal),
            "two": returns([refusal, refusal]),
            "ticket": returns({"a": [1, None]}),
            "nothing": returns(None),
            "empty": returns([]),
        }
    )
    assert [len(outcome.refusals) for outcome in outcomes.values()] == [1, 2, 0, 0, 0]
    assert [outcome.failed for outcome in outcomes.values()] == [True, True, False, False, False]
    assert outcomes["ticket"].ticket == {"a": [1, None]}

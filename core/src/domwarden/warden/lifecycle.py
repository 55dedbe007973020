"""Starts and ends a domain on this host, whole or not at all."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from domwarden.contract import (
    Definition,
    Domain,
    DomwardenError,
    DriverError,
    Engine,
    Job,
    PermanentError,
    RefusedError,
    RunState,
)
from domwarden.journal import DomainRecord, HistoryKind
from domwarden.migration import Hub, ask_epochs
from domwarden.migration.jobs import Owner, bounded, run_jobs
from domwarden.migration.moving import FAILURES
from domwarden.plan import Desired, claim

if TYPE_CHECKING:
    from domwarden.plugins import DomainRoom


async def start(
    hub: Hub, definition: Definition, *, paused: bool, fenced: Collection[str]
) -> Definition:
    """Start a domain and return its live definition; the caller holds its lock.

    Raises RefusedError when another host may have it. If anything fails, what was opened is closed.
    """
    site = hub.site
    name = definition.name
    engine = site.engine(definition.engine)
    known = await site.journal.domain(name)
    # A file may have changed since, even its engine: what is here is what was really started.
    started = known.definition if known is not None and known.definition else definition
    for which in dict.fromkeys((started.engine, definition.engine)):
        state = await site.state(name, which)
        if state is RunState.ENDED:
            remains = started if which == started.engine else definition
            await end(hub, name, remains, graceful_seconds=0.0)
        elif state is not RunState.ABSENT:
            hint = "stop it first" if state is not RunState.UNKNOWN else "look at its hypervisor"
            raise PermanentError(f"{name} is {state} on {hub.name}", hint=hint)
    answers = await ask_epochs(hub, name, definition.engine)
    epoch, refusals = claim(known.epoch if known else 0, answers, fenced=fenced)
    if refusals:
        raise RefusedError(refusals)
    room = site.room(definition)
    live = await engine.realize(definition, room)
    desired = Desired.PAUSED if paused else Desired.RUNNING
    site.ports.at("start journal intent before")
    await site.journal.write(DomainRecord(name, epoch, desired, live))
    room = site.room(live)
    try:
        await _open(hub, live, room)
        site.ports.at("start engine start before")
        await engine.start(live, room, held=paused)
    except FAILURES:
        # Also when cancelled: nothing half done stays behind.
        await end(hub, name, live, graceful_seconds=0.0)
        raise
    await site.journal.write(site.happened(name, HistoryKind.STARTED))
    await site.supervise(live)
    return live


async def end(
    hub: Hub, name: str, definition: Definition, *, graceful_seconds: float
) -> tuple[str, ...]:
    """End a domain, close its devices, and write it down; returns what failed on the way."""
    site = hub.site
    await site.engine(definition.engine).stop(name, graceful_seconds=graceful_seconds)
    alarms = await _close(hub, definition)
    known = await site.journal.domain(name)
    entries = [site.happened(name, HistoryKind.ALARM, alarm) for alarm in alarms]
    epoch = known.epoch if known else 0
    await site.journal.write(
        DomainRecord(name, epoch, Desired.STOPPED, definition),
        site.happened(name, HistoryKind.ENDED),
        *entries,
    )
    return alarms


async def _open(hub: Hub, definition: Definition, room: DomainRoom) -> None:
    answers = room.open(_view(hub, definition))
    for answer in answers.values():
        if isinstance(answer, DriverError):
            raise answer
    for problem in await _run(hub, definition, room, "open", answers, stop_early=True):
        raise problem


async def _close(hub: Hub, definition: Definition) -> tuple[str, ...]:
    room = hub.site.room(definition)
    answers = room.close(_view(hub, definition))
    alarms = [str(answer) for answer in answers.values() if isinstance(answer, DriverError)]
    for device in reversed(answers):
        only = {device: answers[device]}
        problems = await _run(hub, definition, room, "close", only, stop_early=False)
        alarms += [str(problem) for problem in problems]
    return tuple(alarms)


async def _run(
    hub: Hub,
    definition: Definition,
    room: DomainRoom,
    step: str,
    answers: Mapping[str, Job | DriverError],
    *,
    stop_early: bool,
) -> list[DomwardenError]:
    jobs = {device: answer for device, answer in answers.items() if isinstance(answer, Job)}
    owners = {
        device: Owner(
            domain=definition.name,
            step=step,
            host=hub.name,
            device=device,
            distribution=room.drivers[device].distribution,
            version=room.drivers[device].version,
        )
        for device in jobs
    }
    outcomes = await run_jobs(
        bounded(definition, step, jobs),
        owners,
        report=_unheard,
        ended=_unheard,
        stop_early=stop_early,
        sleep=hub.ports.sleep,
    )
    problems: list[DomwardenError] = []
    for outcome in outcomes.values():
        if outcome.error is not None:
            problems.append(outcome.error)
        elif outcome.refusals:
            problems.append(RefusedError(outcome.refusals))
    return problems


def _view(hub: Hub, definition: Definition) -> Domain:
    engine: Engine = hub.site.engine(definition.engine)
    return Domain(
        definition,
        hub.site.host,
        controls=lambda protocol: engine.control(definition.name, protocol),
    )


def _unheard(*_said: object) -> None:
    """Starting and ending are quick: nobody follows their jobs."""

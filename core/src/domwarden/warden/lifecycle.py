"""Starts and ends a domain on this host, whole or not at all."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from domwarden.contract import (
    Definition,
    Domain,
    DomwardenError,
    DriverError,
    Engine,
    Job,
    PermanentError,
    Refusal,
    RefusedError,
    RunState,
)
from domwarden.journal import DomainRecord, Entry, HistoryKind, Hook, JobRecord, StepState
from domwarden.migration import Hub, Moment, Outcome, Settled, Site, What, ask_epochs
from domwarden.migration.jobs import Owner, bounded, run_jobs
from domwarden.migration.moving import FAILURES
from domwarden.plan import Desired, claim
from domwarden.warden.stay import Stay, ended

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
    room = site.room(live)
    stay = Stay(DomainRecord(name, epoch, desired, live))
    begun = stay.begun(Hook.OPEN, room.implementing(Hook.OPEN))
    await _write(site, "start journal intent", stay.domain, *begun)
    try:
        await _open(hub, stay, room)
        site.ports.at("start engine start before")
        await engine.start(live, room, held=paused)
    except FAILURES as error:
        # Also when cancelled: nothing half done stays behind.
        try:
            await end(hub, name, live, graceful_seconds=0.0, outcomes=stay.outcomes)
        except DomwardenError as left:
            if not isinstance(error, DomwardenError):
                raise
            hint = "what is left of it is in the way: `domwarden recover` takes it away"
            raise PermanentError(f"{error}; then {left}", hint=hint) from error
        raise
    happened = site.happened(name, HistoryKind.STARTED)
    await _write(site, "start journal started", happened, *stay.outcomes)
    await site.supervise(live)
    return live


async def end(
    hub: Hub,
    name: str,
    definition: Definition,
    *,
    graceful_seconds: float,
    outcomes: Sequence[JobRecord] = (),
) -> tuple[str, ...]:
    """End a domain, close its devices, and write it down; returns what failed on the way.

    ``outcomes`` are those of a start that failed.  An end that was interrupted goes on with the
    devices that were not closed.
    """
    site = hub.site
    known = await site.journal.domain(name)
    epoch = known.epoch if known else 0
    stay = Stay(DomainRecord(name, epoch, Desired.STOPPED, definition))
    closed = frozenset[str]()
    if known is not None and known.desired is not Desired.STOPPED:
        closed = ended(await site.journal.jobs(stay.key), Hook.CLOSE)
    room = site.room(definition)
    left = [device for device in room.implementing(Hook.CLOSE) if device not in closed]
    await _write(site, "stop journal intent", *outcomes, *stay.begun(Hook.CLOSE, left))
    await site.engine(definition.engine).stop(name, graceful_seconds=graceful_seconds)
    answers = room.close(_view(hub, definition), devices=left)
    alarms = [str(answer) for answer in answers.values() if isinstance(answer, DriverError)]
    for device in reversed(left):
        only = {device: answers[device]} if device in answers else {}
        problems = await _run(hub, stay, room, Hook.CLOSE, [device], only, stop_early=False)
        alarms += [str(problem) for problem in problems]
    happened = [site.happened(name, HistoryKind.ALARM, alarm) for alarm in alarms]
    happened.append(site.happened(name, HistoryKind.ENDED))
    await _write(site, "stop journal stopped", stay.domain, *stay.outcomes, *happened)
    return tuple(alarms)


async def settle(hub: Hub, known: DomainRecord) -> Settled | None:
    """Bring a start or an end that was interrupted to its end; None where there is none.

    The caller holds the domain's lock.  A domain that is there stays there; of one that is not, the
    devices are closed.
    """
    site = hub.site
    begun = await interrupted(hub, known)
    if not begun or known.definition is None:
        return None
    state = await site.state(known.name, known.definition.engine)
    if state in {RunState.ABSENT, RunState.ENDED}:
        what = "start" if any(job.hook is Hook.OPEN for job in begun) else "stop"
        alarms = await end(hub, known.name, known.definition, graceful_seconds=0.0)
        detail = f"its {what} was interrupted; its devices are closed"
        settled = Settled("", known.name, Outcome.STOPPED, detail, alarms)
        hub.observe(_moment(hub, settled))
        return settled
    opened = [job for job in begun if job.hook is Hook.OPEN]
    if opened and state is not RunState.UNKNOWN:
        done = [dataclasses.replace(job, state=StepState.DONE) for job in opened]
        started = site.happened(known.name, HistoryKind.STARTED)
        await _write(site, "start journal started", started, *done)
    return None


async def interrupted(hub: Hub, known: DomainRecord) -> list[JobRecord]:
    """Return the jobs of a start or an end that have no outcome."""
    if known.desired not in {Desired.RUNNING, Desired.PAUSED}:
        return []
    jobs = await hub.site.journal.jobs(Stay(known).key)
    return [job for job in jobs if job.state is StepState.BEGUN]


def unfinished(name: str, host: str) -> Refusal:
    """Say that an interrupted start or stop is what any verb would settle first."""
    return Refusal(
        code="unfinished",
        reason=f"{host} has an unfinished start or stop of {name}: its devices are to be closed",
        remedy="run `domwarden recover`, or start it",
        host=host,
    )


def _moment(hub: Hub, settled: Settled) -> Moment:
    return Moment(
        hub.ports.clock(),
        What.SETTLED,
        settled.domain,
        host=hub.name,
        detail=settled.detail,
        data=settled.as_json(),
    )


async def _write(site: Site, point: str, *entries: Entry) -> None:
    site.ports.at(f"{point} before")
    await site.journal.write(*entries)
    site.ports.at(f"{point} after")


async def _open(hub: Hub, stay: Stay, room: DomainRoom) -> None:
    answers = room.open(_view(hub, room.domain.definition))
    for answer in answers.values():
        if isinstance(answer, DriverError):
            raise answer
    devices = room.implementing(Hook.OPEN)
    for problem in await _run(hub, stay, room, Hook.OPEN, devices, answers, stop_early=True):
        raise problem


async def _run(
    hub: Hub,
    stay: Stay,
    room: DomainRoom,
    step: Hook,
    devices: Collection[str],
    answers: Mapping[str, Job | DriverError],
    *,
    stop_early: bool,
) -> list[DomwardenError]:
    definition = room.domain.definition
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
    for device in devices:  # one that answered nothing has nothing to do, and is done
        failed = device in answers and (device not in outcomes or outcomes[device].failed)
        stay.ended(step, device, StepState.FAILED if failed else StepState.DONE)
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

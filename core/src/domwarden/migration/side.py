"""One end of one move: what both ends have in common."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from domwarden.contract import (
    Definition,
    Domain,
    DomwardenError,
    DriverError,
    End,
    Engine,
    Job,
    Movement,
    Refusal,
    RefusedError,
    Step,
)
from domwarden.journal import Hook, JobRecord, MigrationRecord, StepState
from domwarden.migration.jobs import Outcome, Owner, bounded, run_jobs
from domwarden.migration.ledger import Ledger
from domwarden.migration.moments import Observer, What
from domwarden.migration.site import Site
from domwarden.plan import Begun, Fact, View, early, late

if TYPE_CHECKING:
    from domwarden.plugins import DomainRoom

ResultT = TypeVar("ResultT")
Answers = Mapping[str, "Job | Refusal | DriverError"]


class Side(Ledger):
    """One end of one move; rebuilt from the journal at any time."""

    def __init__(self, site: Site, record: MigrationRecord, observer: Observer) -> None:
        super().__init__(site, record, observer)
        self.engine: Engine = site.engine(record.definition.engine)
        self.room: DomainRoom = site.room(record.definition).seen_as(self.domain(running=False))
        #: The host at the other end; a save has none.
        self.peer = record.peer if record.movement is Movement.MIGRATE else ""
        self._positions = {device: index for index, device in enumerate(self.room.drivers)}

    @property
    def definition(self) -> Definition:
        """The live definition that moves."""
        return self.record.definition

    def domain(self, *, running: bool) -> Domain:
        """Return the base view that hooks get."""
        record = self.record
        engine = self.site.engine(record.definition.engine)
        return Domain(
            definition=record.definition,
            host=self.site.host,
            end=self.end,
            running=running,
            movement=record.movement,
            migration=record.id,
            peer=record.peer,
            controls=lambda protocol: engine.control(record.domain, protocol),
        )

    async def command(
        self, name: str, command: Callable[..., Awaitable[ResultT]], *arguments: Any, **more: Any
    ) -> ResultT:
        """Have the engine do something, between its two crash points."""
        self.site.ports.at(f"{self.end} engine {name} before")
        result = await command(*arguments, **more)
        self.site.ports.at(f"{self.end} engine {name} after")
        return result

    # -- the four steps

    def _ask(self, step: Step, *, running: bool) -> Answers:
        asked = self.room.migrate if self.end is End.SOURCE else self.room.receive
        domain = self.domain(running=running)
        return asked(domain, step, tickets=self.tickets, given=self.given)

    async def test(self) -> list[Refusal]:
        """Ask every device whether it may move; nothing is written down.

        Raises what a broken driver raised only after every device was asked.
        """
        with self.herald.step("test"):
            answers = self._ask(Step.TEST, running=self.record.running)
            jobs = {d: answer for d, answer in answers.items() if isinstance(answer, Job)}
            outcomes = await self._run("test", jobs, stop_early=False)
            refusals: list[Refusal] = []
            for device, answer in answers.items():
                if isinstance(answer, DriverError):
                    refusals.append(_fault(device, answer))
                elif isinstance(answer, Refusal):
                    refusals.append(dataclasses.replace(answer, device=answer.device or device))
            for device, outcome in outcomes.items():
                if outcome.error is not None:
                    refusals.append(_fault(device, outcome.error))
                refusals += [
                    dataclasses.replace(r, device=r.device or device) for r in outcome.refusals
                ]
                if outcome.ticket is not None:
                    self.given[device] = outcome.ticket
            here = self.site.host.name
            return [dataclasses.replace(r, host=r.host or here) for r in refusals]

    async def step(self, step: Step) -> None:
        """Take every device through PREPARE, START or SYNC; raises what the first failure was.

        The intents of all devices are one transaction; their outcomes wait for the next one.
        """
        name = step.name.lower()
        with self.herald.step(name):
            running = self.record.running and step is Step.PREPARE
            answers = self._ask(step, running=running)
            jobs = self._only_jobs(answers)
            begun = [self.step_record(device, step, StepState.BEGUN) for device in jobs]
            if begun:
                await self.write(*begun, at=f"{name} intents")
            outcomes = await self._run(name, jobs, stop_early=True)
            for device, outcome in outcomes.items():
                if outcome.ticket is not None:
                    self.given[device] = outcome.ticket
                state = StepState.FAILED if outcome.failed else StepState.DONE
                self._pending.append(self.step_record(device, step, state))
            _raise_first(outcomes, self.site.host.name)

    def _only_jobs(self, answers: Answers) -> dict[str, Job]:
        jobs: dict[str, Job] = {}
        for device, answer in answers.items():
            if isinstance(answer, DriverError):
                raise answer
            if isinstance(answer, Refusal):
                named = dataclasses.replace(
                    answer,
                    device=answer.device or device,
                    host=answer.host or self.site.host.name,
                )
                raise RefusedError([named])
            jobs[device] = answer
        return jobs

    async def _run(
        self, step: str, jobs: Mapping[str, Job], *, stop_early: bool
    ) -> dict[str, Outcome]:
        if not jobs:
            return {}
        for device, job in jobs.items():
            self.herald.tell(What.JOB_BEGUN, step, device=device, detail=job.name)

        def report(device: str, message: str, done: int | None, total: int | None) -> None:
            self.herald.tell(
                What.REPORT, step, device=device, detail=message, done=done, total=total
            )

        def ended(device: str, outcome: Outcome, seconds: float) -> None:
            detail = (
                str(outcome.error)
                if outcome.error
                else "; ".join(refusal.reason for refusal in outcome.refusals)
            )
            self.herald.tell(
                What.JOB_ENDED,
                step,
                device=device,
                detail=detail,
                failed=outcome.failed,
                seconds=seconds,
            )

        return await run_jobs(
            bounded(self.definition, step, jobs),
            {device: self._owner(step, device) for device in jobs},
            report=report,
            ended=ended,
            stop_early=stop_early,
            sleep=self.site.ports.sleep,
        )

    def _owner(self, step: str, device: str) -> Owner:
        driver = self.room.drivers[device]
        return Owner(
            domain=self.record.domain,
            step=step,
            host=self.site.host.name,
            device=device,
            distribution=driver.distribution,
            version=driver.version,
        )

    # -- what must happen even if parts of it fail

    async def recover_late(self) -> None:
        """Undo the devices begun at START or SYNC, last first, every one of them."""
        if Fact.RECOVERED_LATE not in self.facts:
            await self._recover(late(self.begun()), running=False)
            await self.note(Fact.RECOVERED_LATE)

    async def recover_early(self) -> None:
        """Undo the devices begun only at PREPARE, last first, every one of them."""
        if Fact.RECOVERED_EARLY not in self.facts:
            await self._recover(early(self.begun()), running=self.record.running)
            await self.note(Fact.RECOVERED_EARLY)

    def begun(self) -> list[Begun]:
        """Return the devices whose part was begun and not undone yet."""
        return [
            Begun(part.device, part.position, part.step)
            for part in self.parts.values()
            if part.device in self.room.drivers and not self.has_ended(Hook.RECOVER, part.device)
        ]

    def undoing(self) -> list[JobRecord]:
        """Make the intents to recover every device that was begun, for a write that comes anyway.

        While the domain stands still no write is spent on them alone.
        """
        begun = self.begun()
        return self.intents(Hook.RECOVER, [entry.device for entry in (*late(begun), *early(begun))])

    async def _recover(self, begun: list[Begun], *, running: bool) -> None:
        domain = self.domain(running=running)
        with self.herald.step("recover"):
            await self.intend(Hook.RECOVER, [entry.device for entry in begun])
            for entry in begun:
                only = [entry.device]
                answers = self.room.recover(
                    domain, entry.step, tickets=self.tickets, given=self.given, devices=only
                )
                await self._every(Hook.RECOVER, only, answers)

    def left(self, hook: Hook) -> list[str]:
        """Return the devices that have a hook, without those whose job an earlier run ended."""
        return [d for d in self.room.implementing(hook) if not self.has_ended(hook, d)]

    async def finish_devices(self, *, running: bool) -> None:
        """Tell every device that the domain runs at the destination; failures alarm."""
        with self.herald.step("finish"):
            left = self.left(Hook.FINISH)
            await self.intend(Hook.FINISH, left)
            answers = self.room.finish(
                self.domain(running=running), tickets=self.tickets, given=self.given, devices=left
            )
            await self._every(Hook.FINISH, left, answers)

    async def close_devices(self) -> None:
        """Close every device after the hypervisor's process is gone, last first; failures alarm."""
        with self.herald.step("close"):
            left = self.left(Hook.CLOSE)
            await self.intend(Hook.CLOSE, left)
            answers = self.room.close(
                self.domain(running=False), tickets=self.tickets, given=self.given, devices=left
            )
            for device in reversed(left):
                answer = {device: answers[device]} if device in answers else {}
                await self._every(Hook.CLOSE, [device], answer)

    async def _every(
        self, hook: Hook, devices: Collection[str], answers: Mapping[str, Job | DriverError]
    ) -> None:
        """Run jobs at once; whatever fails, each of the devices has its outcome."""
        jobs = {device: answer for device, answer in answers.items() if isinstance(answer, Job)}
        problems = [str(answer) for answer in answers.values() if isinstance(answer, DriverError)]
        outcomes = await self._run(hook, jobs, stop_early=False)
        for device, outcome in outcomes.items():
            if outcome.error is not None:
                problems.append(str(outcome.error))
            problems += [f"{device} at {hook}: {refusal.reason}" for refusal in outcome.refusals]
        for device in devices:  # one that answered nothing has nothing to do, and is done
            failed = device in answers and (device not in outcomes or outcomes[device].failed)
            self.ended_later(hook, device, StepState.FAILED if failed else StepState.DONE)
        for problem in problems:
            await self.alarm(problem)

    async def open_devices(self) -> None:
        """Make what the devices need before the hypervisor's process; raises the first failure."""
        with self.herald.step("open"):
            domain = self.domain(running=False)
            await self.intend(Hook.OPEN, self.left(Hook.OPEN))
            answers = self.room.open(domain, tickets=self.tickets, given=self.given)
            outcomes = await self._run(Hook.OPEN, self._only_jobs(answers), stop_early=True)
            for device in self.room.implementing(Hook.OPEN):
                outcome = outcomes.get(device, Outcome())
                if outcome.ticket is not None:
                    self.given[device] = outcome.ticket
                state = StepState.FAILED if outcome.failed else StepState.DONE
                self.ended_later(Hook.OPEN, device, state)
            _raise_first(outcomes, self.site.host.name)

    async def view(self) -> View:
        """Return what this end knows, observed now."""
        observation = await self.engine.observe(self.record.domain)
        return View(
            state=observation.state,
            facts=frozenset(self.facts),
            running=self.record.running,
            done=self.record.done,
        )


def _fault(device: str, error: DomwardenError) -> Refusal:
    return Refusal(
        code="driver-failed",
        device=device,
        reason=error.message,
        remedy=error.hint or "see the driver's documentation",
    )


def _raise_first(outcomes: Mapping[str, Outcome], host: str) -> None:
    """Raise the failure that the others were cancelled for."""
    for outcome in outcomes.values():
        if outcome.error is not None:
            raise outcome.error
    refusals = [
        dataclasses.replace(refusal, device=refusal.device or device, host=refusal.host or host)
        for device, outcome in outcomes.items()
        for refusal in outcome.refusals
    ]
    if refusals:
        raise RefusedError(refusals)

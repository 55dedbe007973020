"""One end of one move: what both ends have in common."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from domwarden.contract import (
    Definition,
    Domain,
    DomwardenError,
    DriverError,
    End,
    Engine,
    Job,
    Refusal,
    RefusedError,
    Step,
    Ticket,
)
from domwarden.journal import Entry, FactRecord, HistoryKind, MigrationRecord, StepRecord, StepState
from domwarden.migration.herald import Herald
from domwarden.migration.jobs import Outcome, Owner, run_jobs
from domwarden.migration.moments import Observer, What
from domwarden.migration.site import Site
from domwarden.plan import Begun, Fact, View, early, late

if TYPE_CHECKING:
    from domwarden.plugins import DomainRoom

ResultT = TypeVar("ResultT")
Answers = Mapping[str, "Job | Refusal | DriverError"]


class Side:
    """One end of one move; rebuilt from the journal at any time."""

    end: ClassVar[End]

    def __init__(self, site: Site, record: MigrationRecord, observer: Observer) -> None:
        self.site = site
        self.record = record
        self.herald = Herald(
            observer,
            site.ports.clock,
            domain=record.domain,
            migration=record.id,
            host=site.host.name,
            end=self.end,
        )
        self.engine: Engine = site.engine(record.definition.engine)
        self.room: DomainRoom = site.room(record.definition).seen_as(self.domain(running=False))
        self.facts: dict[Fact, Mapping[str, Any]] = {}
        self.parts: dict[str, StepRecord] = {}
        self.alarms: list[str] = []
        #: TEST journals nothing, so its tickets live here until the first record of their device.
        self.given: dict[str, Ticket | None] = {}
        self.tickets: dict[str, Ticket | None] = {}
        self._pending: list[Entry] = []
        self._positions = {device: index for index, device in enumerate(self.room.drivers)}

    async def recall(self) -> None:
        """Read what the journal knows of this end."""
        self.facts = await self.site.journal.facts(self.record.id)
        self.parts = {part.device: part for part in await self.site.journal.steps(self.record.id)}
        self.given = {device: part.given for device, part in self.parts.items()}
        self.tickets = {device: part.ticket for device, part in self.parts.items()}

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

    # -- durable records

    async def write(self, *entries: Entry, at: str) -> None:
        """Write entries, and what was put off until the next write, in one transaction."""
        batch = [*self._pending, *entries]
        if not batch:
            return
        self.site.ports.at(f"{self.end} journal {at} before")
        await self.site.journal.write(*batch)
        # Only now: what was put off is not lost with a write that failed.
        self._pending.clear()
        for entry in batch:
            if isinstance(entry, FactRecord):
                self.facts.setdefault(entry.fact, entry.data)
        self.site.ports.at(f"{self.end} journal {at} after")

    async def note(self, fact: Fact, *entries: Entry, **data: Any) -> None:
        """Make a fact durable, once."""
        if fact not in self.facts:
            await self.write(self.fact(fact, **data), *entries, at=fact)

    def note_later(self, fact: Fact, *entries: Entry) -> None:
        """Let a fact become durable with the next write.

        Only for what may be done again after a crash, and that nothing before that write rests on.
        """
        if fact not in self.facts:
            self.facts[fact] = {}
            self._pending += [self.fact(fact), *entries]

    def fact(self, fact: Fact, **data: Any) -> FactRecord:
        """Make the record of a fact."""
        return FactRecord(self.record.id, fact, data)

    async def close_record(self, *entries: Entry) -> None:
        """Mark this end's part as done."""
        self.record = dataclasses.replace(self.record, done=True)
        await self.write(self.record, *entries, at="done")

    async def alarm(self, problem: str) -> None:
        """Tell and keep something that failed without stopping anything."""
        self.alarms.append(problem)
        self.herald.tell(What.ALARM, detail=problem)
        record = self.site.happened(self.record.domain, HistoryKind.ALARM, problem)
        await self.write(record, at="alarm")

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
            begun = [self._part(device, step, StepState.BEGUN) for device in jobs]
            if begun:
                await self.write(*begun, at=f"{name} intents")
            outcomes = await self._run(name, jobs, stop_early=True)
            for device, outcome in outcomes.items():
                if outcome.ticket is not None:
                    self.given[device] = outcome.ticket
                state = StepState.FAILED if outcome.failed else StepState.DONE
                self._pending.append(self._part(device, step, state))
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

    def _part(self, device: str, step: Step, state: StepState) -> StepRecord:
        part = StepRecord(
            migration=self.record.id,
            device=device,
            position=self._positions[device],
            step=step,
            state=state,
            given=self.given.get(device),
            ticket=self.tickets.get(device),
        )
        self.parts[device] = part
        return part

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
            jobs,
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
            await self._recover(late(self._begun()), running=False)
            await self.note(Fact.RECOVERED_LATE)

    async def recover_early(self) -> None:
        """Undo the devices begun only at PREPARE, last first, every one of them."""
        if Fact.RECOVERED_EARLY not in self.facts:
            await self._recover(early(self._begun()), running=self.record.running)
            await self.note(Fact.RECOVERED_EARLY)

    def _begun(self) -> list[Begun]:
        return [
            Begun(part.device, part.position, part.step)
            for part in self.parts.values()
            if part.state is not StepState.RECOVERED and part.device in self.room.drivers
        ]

    async def _recover(self, begun: list[Begun], *, running: bool) -> None:
        domain = self.domain(running=running)
        with self.herald.step("recover"):
            for entry in begun:
                only = [entry.device]
                answers = self.room.recover(
                    domain, entry.step, tickets=self.tickets, given=self.given, devices=only
                )
                await self._every("recover", answers)
                self._pending.append(self._part(entry.device, entry.step, StepState.RECOVERED))

    async def finish_devices(self, *, running: bool) -> None:
        """Tell every device that the domain runs at the destination; failures alarm."""
        with self.herald.step("finish"):
            domain = self.domain(running=running)
            answers = self.room.finish(domain, tickets=self.tickets, given=self.given)
            await self._every("finish", answers)

    async def close_devices(self) -> None:
        """Close every device after the hypervisor's process is gone, last first; failures alarm."""
        with self.herald.step("close"):
            answers = self.room.close(
                self.domain(running=False), tickets=self.tickets, given=self.given
            )
            for device in reversed(answers):
                await self._every("close", {device: answers[device]})

    async def _every(self, step: str, answers: Mapping[str, Job | DriverError]) -> None:
        jobs = {device: answer for device, answer in answers.items() if isinstance(answer, Job)}
        problems: list[DomwardenError] = [
            answer for answer in answers.values() if isinstance(answer, DriverError)
        ]
        outcomes = await self._run(step, jobs, stop_early=False)
        for device, outcome in outcomes.items():
            if outcome.error is not None:
                problems.append(outcome.error)
            for refusal in outcome.refusals:
                await self.alarm(f"{device} at {step}: {refusal.reason}")
        for problem in problems:
            await self.alarm(str(problem))

    async def open_devices(self) -> None:
        """Make what the devices need before the hypervisor's process; raises the first failure."""
        with self.herald.step("open"):
            domain = self.domain(running=False)
            answers = self.room.open(domain, tickets=self.tickets, given=self.given)
            outcomes = await self._run("open", self._only_jobs(answers), stop_early=True)
            for device, outcome in outcomes.items():
                if outcome.ticket is not None:
                    self.given[device] = outcome.ticket
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

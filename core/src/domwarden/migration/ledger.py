"""What one end of one move knows, and how it becomes durable."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from domwarden.contract import Armed, End, Step, Ticket
from domwarden.journal import (
    Entry,
    FactRecord,
    HistoryKind,
    Hook,
    JobRecord,
    MigrationRecord,
    StepRecord,
    StepState,
)
from domwarden.migration.herald import Herald
from domwarden.migration.moments import Observer, What
from domwarden.migration.site import Site
from domwarden.plan import Fact
from domwarden.watchdog.continuity import watchdog_lost

_ENDED = frozenset({StepState.DONE, StepState.FAILED})


class Ledger:
    """The durable records of one end of one move; rebuilt from the journal at any time."""

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
        self.facts: dict[Fact, Mapping[str, Any]] = {}
        self.parts: dict[str, StepRecord] = {}
        self.jobs: dict[tuple[Hook, str], StepState] = {}
        self.alarms: list[str] = []
        #: As it was seen at the source when the move began.
        self.watchdog_before = Armed.UNKNOWN
        #: TEST journals nothing, so its tickets live here until the first record of their device.
        self.given: dict[str, Ticket | None] = {}
        self.tickets: dict[str, Ticket | None] = {}
        self._pending: list[Entry] = []
        self._positions: Mapping[str, int] = {}

    async def recall(self) -> None:
        """Read what the journal knows of this end."""
        journal = self.site.journal
        self.facts = await journal.facts(self.record.id)
        jobs = await journal.jobs(self.record.id)
        self.jobs = {(job.hook, job.device): job.state for job in jobs}
        self.parts = {part.device: part for part in await journal.steps(self.record.id)}
        # A device that opened and had no step since gave its last ticket there.
        self.given = {job.device: job.given for job in jobs if job.hook is Hook.OPEN}
        self.given |= {device: part.given for device, part in self.parts.items()}
        self.tickets = {device: part.ticket for device, part in self.parts.items()}

    # -- durable records

    async def write(self, *entries: Entry, at: str) -> None:
        """Write entries, and what was put off until the next write, in one transaction."""
        batch = [*self._pending, *entries]
        if not batch:
            return
        put_off = len(self._pending)
        self.site.ports.at(f"{self.end} journal {at} before")
        await self.site.journal.write(*batch)
        self._wrote(batch, put_off)
        self.site.ports.at(f"{self.end} journal {at} after")

    def _wrote(self, batch: Iterable[Entry], put_off: int) -> None:
        """Take durable entries for known, of which the first were put off before."""
        # Only now: what was put off is not lost with a write that failed.
        del self._pending[:put_off]
        for entry in batch:
            if isinstance(entry, FactRecord):
                self.facts.setdefault(entry.fact, entry.data)
            elif isinstance(entry, JobRecord) and not self.has_ended(entry.hook, entry.device):
                self.jobs[entry.hook, entry.device] = entry.state

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

    # -- the watchdog

    def watchdog_seen(self) -> list[Entry]:
        """Make the record by which a recovery knows that the watchdog was armed."""
        return [self.fact(Fact.ARMED)] if self.watchdog_before is Armed.ARMED else []

    async def compare_watchdog(self, after: Armed) -> None:
        """Alarm when the watchdog was armed before the move and is not any more."""
        before = Armed.ARMED if Fact.ARMED in self.facts else Armed.UNKNOWN
        lost = watchdog_lost(self.record.domain, before, after)
        if lost is not None:
            await self.alarm(lost)

    # -- each device's jobs

    def step_record(self, device: str, step: Step, state: StepState) -> StepRecord:
        """Make the record of a device's part in PREPARE, START or SYNC."""
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

    def has_ended(self, hook: Hook, device: str) -> bool:
        """Say whether a device's job ended: no recovery runs it again."""
        return self.jobs.get((hook, device)) in _ENDED

    def intents(self, hook: Hook, devices: Iterable[str]) -> list[JobRecord]:
        """Make the intents of devices' jobs that are not written down yet."""
        missing = [device for device in devices if (hook, device) not in self.jobs]
        return [self._job_record(hook, device, StepState.BEGUN) for device in missing]

    async def intend(self, hook: Hook, devices: Iterable[str]) -> None:
        """Write down the intents of devices' jobs, in one transaction; none, none."""
        intents = self.intents(hook, devices)
        if intents:
            await self.write(*intents, at=f"{hook} intents")

    def ended_later(self, hook: Hook, device: str, state: StepState) -> None:
        """Let the outcome of a device's job become durable with the next write."""
        self.jobs[hook, device] = state
        self._pending.append(self._job_record(hook, device, state))

    def _job_record(self, hook: Hook, device: str, state: StepState) -> JobRecord:
        return JobRecord(self.record.id, device, hook, state, self.given.get(device))

"""What a host's journal and engines say, looked at and left as it is."""

from __future__ import annotations

import asyncio
import dataclasses
import enum
from collections import Counter
from typing import Any

from domwarden.contract import End, Expiry, Movement
from domwarden.journal import DomainRecord, MigrationRecord
from domwarden.journal.holder import Holder, holder_of
from domwarden.migration import Hub, Outcome
from domwarden.plan import Decision, Desired, Fact
from domwarden.warden.status import DomainStatus, status_of

#: So many domains are looked at at once: each look is a word with its hypervisor.
AT_ONCE = 32


class MoveState(enum.StrEnum):
    """How far a move is."""

    UNKNOWN = "unknown"
    #: A process drives it.
    RUNNING = "running"
    #: Nobody drives it: it waits for the other end, or for a person.
    WAITING = "waiting"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    #: It was refused before anything changed.
    REFUSED = "refused"


@dataclasses.dataclass(frozen=True)
class MoveStatus:
    """This end of one move as the journal has it; ``peer`` is the other host or a save's path."""

    id: str
    domain: str
    movement: Movement
    end: End
    peer: str
    state: MoveState
    decision: Decision
    outcome: Outcome
    holder: Holder | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the status as plain data."""
        holder = str(self.holder) if self.holder is not None else ""
        return {**dataclasses.asdict(self), "holder": holder}


class Looks:
    """Looks at one host: settles nothing, asks no peer, takes no lock."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def records(self, name: str | None = None) -> list[DomainRecord]:
        """Return what the journal has of every domain that was ever here, or of one."""
        journal = self._hub.site.journal
        if name is None:
            return await journal.domains()
        record = await journal.domain(name)
        return [record] if record is not None else []

    async def desired(self) -> Counter[Desired]:
        """Count the domains that were ever here by what the journal says that they should be."""
        return await self._hub.site.journal.desired()

    async def domains(self, name: str | None = None) -> list[DomainStatus]:
        """Look at every domain that was ever here, or at one."""
        records, found = await self.records(name), list[DomainStatus]()
        for first in range(0, len(records), AT_ONCE):
            some = records[first : first + AT_ONCE]
            found += await asyncio.gather(*(status_of(self._hub.site, record) for record in some))
        return found

    async def holder(self, domain: str) -> Holder | None:
        """Return the process that acts on a domain, where there is one and the kernel tells."""
        return await asyncio.to_thread(holder_of, self._hub.lock(domain).path)

    async def unfinished(self) -> list[MoveStatus]:
        """Look at the moves that are not done, oldest first."""
        return [await self._status(one) for one in await self._hub.site.journal.unfinished()]

    async def move(self, migration: str) -> MoveStatus | None:
        """Look at one move; None where the journal does not know it."""
        record = await self._hub.site.journal.migration(migration)
        return await self._status(record) if record is not None else None

    async def newest_expiry(self) -> int:
        """Return the number of the newest recorded firing of a watchdog."""
        return await self._hub.site.journal.newest_expiry()

    async def expiries_after(self, number: int, most: int) -> list[tuple[int, Expiry]]:
        """Return the next firings of all watchdogs, each numbered."""
        return await self._hub.site.journal.expiries_after(number, most)

    async def _status(self, record: MigrationRecord) -> MoveStatus:
        journal = self._hub.site.journal
        holder = None
        if not record.done:
            holder = await self.holder(record.domain)
            if holder is None:  # who drove it wrote that it is done before it let go of the lock
                record = await journal.migration(record.id) or record
        facts = set(await journal.facts(record.id))
        decision = await journal.decision(record.id)
        state, outcome = MoveState.RUNNING if holder else MoveState.WAITING, Outcome.UNKNOWN
        if record.done:
            outcome = _outcome(record, decision, facts)
            good = outcome in {Outcome.ARRIVED, Outcome.SAVED, Outcome.RESTORED}
            state = MoveState.SUCCEEDED if good else MoveState.FAILED
        return MoveStatus(
            id=record.id,
            domain=record.domain,
            movement=record.movement,
            end=record.role,
            peer=record.peer,
            state=state,
            decision=decision,
            outcome=outcome,
            holder=holder,
        )


def _outcome(record: MigrationRecord, decision: Decision, facts: set[Fact]) -> Outcome:
    """Say how a move that is done ended at this end."""
    if record.role is End.SOURCE:
        if Fact.RECLAIMED in facts:
            return Outcome.STOPPED if Fact.WRITTEN_OFF in facts else Outcome.RECLAIMED
        if decision is Decision.RELEASED and Fact.RETURNED not in facts:
            return Outcome.SAVED if record.movement is Movement.SAVE else Outcome.ARRIVED
        return Outcome.RESUMED if Fact.RESUMED in facts else Outcome.ENDED
    if Fact.RAN not in facts:
        return Outcome.GIVEN_UP
    return Outcome.RESTORED if record.movement is Movement.RESTORE else Outcome.ARRIVED

"""The verb that takes a released domain back from a host that is gone for good."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import AsyncIterator, Collection, Mapping
from typing import Any

from domwarden.contract import ConflictError, End, Movement, Refusal, RefusedError, RunState
from domwarden.journal import DomainRecord, MigrationRecord
from domwarden.migration.hub import Hub
from domwarden.migration.moving import live_domain
from domwarden.migration.outcome import Outcome, Settled
from domwarden.migration.restoring import ask_epochs
from domwarden.migration.source import SourceSide
from domwarden.plan import EpochAnswer, Verdict, early, late
from domwarden.plan import reclaim as judge

#: A driver's watcher that tries to settle the move does so for this long at most, as a rule.
LOCK_TRIES = 120
LOCK_SECONDS = 0.5


@dataclasses.dataclass(frozen=True)
class Reclaimable:
    """What a reclaim would do with a domain, and all that was seen; no refusals: it may be done.

    ``state`` is that of the copy here, ``epoch`` the one that is taken, ``answers`` maps each peer
    to what it says (None: silence), ``recovers`` lists the devices that are undone, in that order.
    ``settled`` is what an earlier run had left and is done now.
    """

    domain: str
    host: str
    destination: str = ""
    migration: str = ""
    state: RunState = RunState.UNKNOWN
    running: bool = True
    released_seconds_ago: float | None = None
    epoch: int = 0
    answers: Mapping[str, EpochAnswer | None] = dataclasses.field(default_factory=dict)
    recovers: tuple[str, ...] = ()
    cold: bool = False
    refusals: tuple[Refusal, ...] = ()
    settled: tuple[Settled, ...] = ()

    @property
    def done(self) -> Settled | None:
        """What an earlier reclaim of this domain came to, when this look brought it to its end."""
        over = {Outcome.RECLAIMED, Outcome.STOPPED, Outcome.ENDED}
        return next((one for one in self.settled if one.migration and one.outcome in over), None)

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return dataclasses.asdict(self)


async def reclaimable(hub: Hub, domain: str, *, fenced: Collection[str], cold: bool) -> Reclaimable:
    """Settle what needs no person, then say what a reclaim would do; raises PermanentError."""
    known, _ = await live_domain(hub, domain)
    settled = tuple(await hub.settle(domain))
    found = await _look(hub, known, fenced=fenced, cold=cold)
    broken = [
        Refusal("broken", one.detail, "a person must settle it by hand", host=hub.name)
        for one in settled
        if one.outcome is Outcome.BROKEN
    ]
    return dataclasses.replace(found, settled=settled, refusals=(*found.refusals, *broken))


async def reclaim(hub: Hub, domain: str, *, fenced: Collection[str], cold: bool) -> Settled:
    """Take a released domain back; everything is looked at and judged once more.

    Raises RefusedError with every reason, ConflictError while another process acts on the domain.
    Killed at any point, the next verb on the domain brings it to its end.
    """
    known, _ = await live_domain(hub, domain)
    async with _acting(hub, domain):
        found = await _look(hub, known, fenced=fenced, cold=cold)
        if found.refusals:
            raise RefusedError(found.refusals)
        record = await hub.site.journal.migration(found.migration)
        assert record is not None
        source = SourceSide(hub.site, record, hub.observe)
        await source.recall()
        await source.reclaim(cold=cold)
        settled = await hub.run_settling(source, None)
        await hub.site.keep_supervised(domain)
        return settled


@contextlib.asynccontextmanager
async def _acting(hub: Hub, domain: str) -> AsyncIterator[None]:
    """Hold the domain's lock, once nobody asks the silent host for the domain any more."""
    lock = hub.lock(domain)
    for left in reversed(range(LOCK_TRIES)):
        try:
            lock.acquire()
            break
        except ConflictError:
            if not left:
                raise
            await hub.ports.sleep(LOCK_SECONDS)
    with lock:
        yield


async def _look(
    hub: Hub, known: DomainRecord, *, fenced: Collection[str], cold: bool
) -> Reclaimable:
    unfinished = await hub.site.journal.unfinished(known.name)
    if not unfinished:
        nothing = await _nothing(hub, known)
        return Reclaimable(known.name, hub.name, refusals=(nothing,), cold=cold)
    record = unfinished[-1]
    if record.role is not End.SOURCE or record.movement is not Movement.MIGRATE:
        refusals = (_not_ours(hub, record),)
        return Reclaimable(known.name, hub.name, migration=record.id, refusals=refusals, cold=cold)
    source = SourceSide(hub.site, record, hub.observe)
    await source.recall()
    view = await source.view()
    answers = await ask_epochs(hub, known.name, record.definition.engine)
    verdict: Verdict = judge(view, record.epoch, record.peer, answers, fenced=fenced, cold=cold)
    decided = await hub.site.journal.decided(record.id)
    begun = source.begun()
    return Reclaimable(
        domain=known.name,
        host=hub.name,
        destination=record.peer,
        migration=record.id,
        state=view.state,
        running=record.running,
        released_seconds_ago=hub.ports.clock() - decided.at if decided is not None else None,
        epoch=verdict.epoch,
        answers=answers,
        recovers=tuple(entry.device for entry in (*late(begun), *early(begun))),
        cold=cold,
        refusals=tuple(
            dataclasses.replace(refusal, host=refusal.host or hub.name)
            for refusal in verdict.refusals
        ),
    )


async def _nothing(hub: Hub, known: DomainRecord) -> Refusal:
    if known.moved_to:
        return Refusal(
            code="moved",
            reason=f"{known.name} was seen running on {known.moved_to}; nothing of it is left here",
            remedy=f"a cold start: `domwarden start FILE --fenced {known.moved_to}`",
            host=hub.name,
        )
    state = RunState.UNKNOWN
    if known.definition is not None:
        state = await hub.site.state(known.name, known.definition.engine)
    return Refusal(
        code="nothing-unfinished",
        reason=f"no move of {known.name} is unfinished here; it is {state}",
        remedy="there is nothing to reclaim: use it as it is, or start it from its file",
        host=hub.name,
    )


def _not_ours(hub: Hub, record: MigrationRecord) -> Refusal:
    if record.movement is Movement.MIGRATE:
        return Refusal(
            code="not-the-source",
            reason=f"{hub.name} is the destination of the unfinished move {record.id}",
            remedy=f"only the source keeps the domain: reclaim it on {record.peer}",
            host=hub.name,
        )
    return Refusal(
        code="not-a-migration",
        reason=f"what is unfinished is a {record.movement}, which no other host takes part in",
        remedy="run `domwarden recover`",
        host=hub.name,
    )

"""The verb that takes a domain to another host."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from typing import Any

from domwarden.contract import (
    Definition,
    End,
    Movement,
    PermanentError,
    Refusal,
    RefusedError,
    RunState,
)
from domwarden.journal import DomainRecord, MigrationRecord
from domwarden.migration.both import both
from domwarden.migration.far import RemoteEnd
from domwarden.migration.flow import Preflight, afterwards, forward, preflight
from domwarden.migration.hub import Hub
from domwarden.migration.outcome import Moved, MoveFailedError, Outcome, Settled
from domwarden.migration.source import SourceSide

#: Failures after which a move is settled; anything else (a kill) leaves that to the next verb.
FAILURES = (Exception, asyncio.CancelledError)


async def live_domain(hub: Hub, name: str) -> tuple[DomainRecord, Definition]:
    """Return what the journal knows of a domain that was started here; raises PermanentError."""
    record = await hub.site.journal.domain(name)
    if record is None or record.definition is None:
        raise PermanentError(f"{hub.name} knows no domain {name}", hint="start it first")
    return record, record.definition


async def departing(
    hub: Hub, name: str, movement: Movement, peer: str, *, nonce: str = "", migration: str = ""
) -> MigrationRecord:
    """Make the record of a move of a domain that is here and whole; raises RefusedError.

    ``migration`` is the id where the caller has chosen one.
    """
    known, definition = await live_domain(hub, name)
    state = await hub.site.state(name, definition.engine)
    if state not in {RunState.RUNNING, RunState.PAUSED}:
        moved = f", it moved to {known.moved_to}" if known.moved_to else ""
        refusal = Refusal(
            code="not-running",
            reason=f"{name} is {state} on {hub.name}{moved}",
            remedy="only a running or paused domain can leave",
            host=hub.name,
        )
        raise RefusedError([refusal])
    return MigrationRecord(
        id=migration or hub.new_id(),
        domain=name,
        role=End.SOURCE,
        movement=movement,
        peer=peer,
        epoch=known.epoch,
        running=state is RunState.RUNNING,
        definition=definition,
        nonce=nonce,
    )


async def plan_move(hub: Hub, name: str, peer: str) -> Preflight:
    """Say everything that would block a migration, from both ends; changes nothing."""
    link = await hub.link(peer)
    record = await departing(hub, name, Movement.MIGRATE, peer)
    source = SourceSide(hub.site, record, hub.observe)
    return await preflight(source, RemoteEnd(link, record, hub.name))


async def migrate(hub: Hub, name: str, peer: str, *, migration: str = "") -> Moved:
    """Take a domain to a peer; the caller holds its lock and settled what was unfinished.

    Raises RefusedError before anything changed, MoveFailedError after the move was given up.
    """
    begun = time.monotonic()
    link = await hub.link(peer)
    record, _ = await both(
        departing(hub, name, Movement.MIGRATE, peer, migration=migration),
        link.reach(),
        f"{name}/reach",
    )
    source = SourceSide(hub.site, record, hub.observe)
    far = RemoteEnd(link, record, hub.name)
    found = await preflight(source, far)
    if found.refusals:
        raise RefusedError(found.refusals)
    moved = Moved(
        domain=name,
        source=hub.name,
        destination=peer,
        migration=record.id,
        blackout_seconds=None,
        downtime_seconds=None,
        total_seconds=0.0,
        running=record.running,
    )
    try:
        blackout, downtime = await forward(source, far)
        moved = dataclasses.replace(moved, blackout_seconds=blackout, downtime_seconds=downtime)
        await afterwards(source, far)
    except FAILURES as failure:
        settled = await hub.run_settling(source, far)
        if settled.outcome is not Outcome.ARRIVED:
            raise_failure(failure, settled)
        await source.alarm(f"the move went on after: {failure}")
    finally:
        hub.forget(record.id)
    return dataclasses.replace(
        moved, total_seconds=time.monotonic() - begun, alarms=tuple(source.alarms)
    )


def raise_failure(failure: BaseException, settled: Settled) -> Any:
    """Raise what a failed move means to its caller."""
    if isinstance(failure, asyncio.CancelledError):
        raise failure
    raise MoveFailedError(failure, settled) from failure

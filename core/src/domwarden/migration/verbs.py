"""The moves as a driver process performs them, and as its watcher completes them."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from domwarden.contract import BrokenError, ConflictError, DomwardenError
from domwarden.migration.hub import Hub
from domwarden.migration.moving import migrate
from domwarden.migration.outcome import (
    Moved,
    MoveFailedError,
    Outcome,
    Restored,
    Saved,
    Settled,
)
from domwarden.migration.request import Request, Result, Verb
from domwarden.migration.restoring import restore
from domwarden.migration.savefile import read_manifest
from domwarden.migration.saving import save

LOCK_TRIES = 20
LOCK_SECONDS = 0.25


async def perform(hub: Hub, request: Request) -> Result:
    """Perform a request from beginning to end; raises what the verb raises."""
    if request.verb is Verb.RESTORE:
        path = _path(request)
        manifest = await asyncio.to_thread(read_manifest, path)
        async with hub.acting(manifest.definition.name):
            return await restore(hub, path, fenced=request.fenced, migration=request.migration)
    async with hub.acting(request.domain):
        if request.verb is Verb.SAVE:
            return await save(hub, request.domain, _path(request), migration=request.migration)
        return await migrate(hub, request.domain, request.peer, migration=request.migration)


def _path(request: Request) -> Path:
    if request.path is None:
        raise BrokenError(f"a {request.verb} without a path was requested")
    return request.path


async def complete(hub: Hub, request: Request, died: DomwardenError) -> Result | MoveFailedError:
    """Settle what a dead driver left of its move; what arrived all the same is a result."""
    name = request.domain
    if request.verb is Verb.RESTORE:
        manifest = await asyncio.to_thread(read_manifest, _path(request))
        name = manifest.definition.name
    await _until_free(hub, name)
    settled = await hub.settle(name)
    nothing = Settled("", "", Outcome.UNKNOWN, "it had not begun, or was done")
    last = settled[-1] if settled else nothing
    record = await hub.site.journal.migration(last.migration)
    if record is None:
        return MoveFailedError(died, last)
    alarms = (str(died), *last.alarms)
    if last.outcome is Outcome.ARRIVED:
        return Moved(
            domain=record.domain,
            source=hub.name,
            destination=record.peer,
            migration=record.id,
            blackout_seconds=None,
            downtime_seconds=None,
            total_seconds=0.0,
            running=record.running,
            alarms=alarms,
        )
    if last.outcome is Outcome.SAVED:
        path = Path(record.peer)
        return Saved(record.domain, path, record.nonce, record.id, 0.0, alarms)
    if last.outcome is Outcome.RESTORED:
        path = Path(record.peer)
        return Restored(record.domain, path, record.id, record.running, 0.0, alarms)
    return MoveFailedError(died, last)


async def _until_free(hub: Hub, name: str) -> None:
    """Wait a moment for the domain's lock: a child of the dead driver holds it until its exec."""
    for _ in range(LOCK_TRIES):
        with contextlib.suppress(ConflictError), hub.lock(name):
            return
        await hub.ports.sleep(LOCK_SECONDS)

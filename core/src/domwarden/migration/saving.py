"""The verb that releases a domain to a file."""

from __future__ import annotations

import asyncio
import time
import uuid
from pathlib import Path

from domwarden.contract import Movement, RefusedError, Step
from domwarden.migration.flow import preflight
from domwarden.migration.hub import Hub
from domwarden.migration.moving import FAILURES, departing, raise_failure
from domwarden.migration.outcome import Outcome, Saved
from domwarden.migration.savefile import Manifest, SaveEnd
from domwarden.migration.source import SourceSide


async def save(hub: Hub, name: str, path: Path, *, migration: str = "") -> Saved:
    """Save a domain to a new directory; the caller holds its lock and settled what was unfinished.

    Raises RefusedError before anything changed, MoveFailedError after the save was given up.
    """
    begun = time.monotonic()
    nonce = uuid.uuid4().hex
    path = await asyncio.to_thread(path.absolute)
    record = await departing(hub, name, Movement.SAVE, str(path), nonce=nonce, migration=migration)
    source = SourceSide(hub.site, record, hub.observe)
    end = SaveEnd(hub.site, record)
    found = await preflight(source, None)
    refusals = [*found.refusals, *await asyncio.to_thread(end.file.obstacles)]
    if refusals:
        raise RefusedError(refusals)
    try:
        await _forward(source, end)
    except FAILURES as failure:
        settled = await hub.run_settling(source, end)
        if settled.outcome is not Outcome.SAVED:
            raise_failure(failure, settled)
        await source.alarm(f"the save went on after: {failure}")
    return Saved(
        domain=name,
        path=end.file.path,
        nonce=nonce,
        migration=record.id,
        total_seconds=time.monotonic() - begun,
        alarms=tuple(source.alarms),
    )


async def _forward(source: SourceSide, end: SaveEnd) -> None:
    record = source.record
    await source.begin()
    await source.reserve()
    await source.step(Step.PREPARE)
    left = await source.blockers(clearable=False)
    if left:
        raise RefusedError(left)
    await asyncio.to_thread(end.file.create)
    await source.precopy({"file": str(end.file.stream)})
    await source.suspend()
    await source.step(Step.START)
    await source.step(Step.SYNC)
    await source.complete()
    manifest = Manifest(
        nonce=record.nonce,
        migration=record.id,
        host=source.site.host.name,
        epoch=record.epoch,
        running=record.running,
        definition=record.definition,
        tickets=dict(source.given),
        armed=source.watchdog_before,
    )
    source.site.ports.at("source save seal before")
    await asyncio.to_thread(end.file.seal, manifest)
    source.site.ports.at("source save seal after")
    await source.release()
    await source.finish()
    await source.stop()
    await source.close()

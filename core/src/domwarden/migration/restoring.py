"""The verb that takes a domain back from a file."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Collection
from pathlib import Path

from domwarden.contract import (
    DomwardenError,
    End,
    Movement,
    Refusal,
    RefusedError,
    Step,
)
from domwarden.journal import MigrationRecord, SaveRecord
from domwarden.migration.destination import DestinationSide
from domwarden.migration.hub import Hub
from domwarden.migration.link import Message
from domwarden.migration.moving import FAILURES, raise_failure
from domwarden.migration.outcome import Outcome, Restored
from domwarden.migration.savefile import Manifest, read_manifest
from domwarden.migration.source import merge, refused
from domwarden.plan import EpochAnswer, claim


async def ask_epochs(
    hub: Hub, name: str, engine: str, nonce: str = ""
) -> dict[str, EpochAnswer | None]:
    """Ask every peer of the host file what it knows of a domain and a save; None is silence."""

    async def ask(peer: str) -> EpochAnswer | None:
        try:
            link = await hub.link(peer)
            body = {"domain": name, "engine": engine, "nonce": nonce}
            answer = await link.send(Message("", "epoch", body))
            return EpochAnswer(
                int(answer["epoch"]),
                copy=bool(answer["copy"]),
                saved=bool(answer["saved"]),
                busy=bool(answer.get("busy")),  # an older version never says so
            )
        except (DomwardenError, OSError):
            return None

    # At once: several that are off cost one time-out.
    answers = await asyncio.gather(*(ask(peer) for peer in hub.site.peers))
    return dict(zip(hub.site.peers, answers, strict=True))


async def restore(
    hub: Hub, path: Path, *, fenced: Collection[str] = (), migration: str = ""
) -> Restored:
    """Take the domain of a save back; the caller holds its lock and settled what was unfinished.

    Raises RefusedError (``stale-save`` when the domain has run since), MoveFailedError after the
    restore was given up, with the save as it was.
    """
    begun = time.monotonic()
    path = await asyncio.to_thread(path.absolute)
    manifest = await asyncio.to_thread(read_manifest, path)
    record, refusals = await _record(hub, path, manifest, fenced)
    record = dataclasses.replace(record, id=migration or record.id)
    side = DestinationSide(hub.site, record, hub.observe)
    merge(side.tickets, manifest.tickets)
    side.watchdog_before = manifest.armed
    refusals += await side.obstacles()
    refusals += await side.test()
    if refusals:
        raise RefusedError(refused(refusals))
    try:
        await side.open({"file": str(path / "stream")})
        await side.take_step(Step.PREPARE)
        await side.take_step(Step.START)
        await side.sync()
        consumed = SaveRecord(
            manifest.nonce, record.domain, str(path), manifest.epoch, consumed=True
        )
        await side.grant(consumed)
        await side.compare_watchdog(await side.finish_watched())
        await side.close()
    except FAILURES as failure:
        settled = await hub.settle_destination(side.record)
        if settled.outcome is not Outcome.RESTORED:
            raise_failure(failure, settled)
        await side.alarm(f"the restore went on after: {failure}")
    return Restored(
        domain=record.domain,
        path=path,
        migration=record.id,
        running=record.running,
        total_seconds=time.monotonic() - begun,
        alarms=tuple(side.alarms),
    )


async def _record(
    hub: Hub, path: Path, manifest: Manifest, fenced: Collection[str]
) -> tuple[MigrationRecord, list[Refusal]]:
    name = manifest.definition.name
    own = await hub.site.journal.domain(name)
    answers = await ask_epochs(hub, name, manifest.definition.engine, manifest.nonce)
    save = await hub.site.journal.saved(manifest.nonce)
    # A restore that was given back raised the epoch under which the save is the last word.
    saved_epoch = max(manifest.epoch, save.epoch if save is not None else 0)
    epoch, refusals = claim(
        own.epoch if own else 0,
        answers,
        fenced=fenced,
        saved=saved_epoch,
        # Whoever holds the save's own record now has no need of its maker's.
        maker="" if save is not None or manifest.host == hub.name else manifest.host,
    )
    found = list(refusals)
    if save is None and manifest.host == hub.name:
        found.append(_unfinished(hub.name))
    if save is not None and save.consumed:
        found.append(_stale(f"{path} was restored before"))
    elif own is not None and own.epoch > saved_epoch:
        found.append(_stale(f"{name} has run on {hub.name} since it was saved"))
    record = MigrationRecord(
        id=hub.new_id(),
        domain=name,
        role=End.DESTINATION,
        movement=Movement.RESTORE,
        peer=str(path),
        epoch=max(epoch, saved_epoch + 1) - 1,
        running=manifest.running,
        definition=manifest.definition,
        nonce=manifest.nonce,
    )
    here = hub.name
    return record, [dataclasses.replace(refusal, host=refusal.host or here) for refusal in found]


def _unfinished(host: str) -> Refusal:
    return Refusal(
        code="unfinished-save",
        reason=f"{host} never gave the domain up to this save, as its journal says",
        remedy="use the domain as it is, and save it again",
    )


def _stale(reason: str) -> Refusal:
    return Refusal(
        code="stale-save",
        reason=reason,
        remedy="its disks have gone on; restore the newest save, or start the domain",
    )

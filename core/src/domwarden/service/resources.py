"""What the API does with migrations, saves, restores and the host itself."""

from __future__ import annotations

import asyncio
import dataclasses
import importlib.metadata
import time
from collections.abc import AsyncIterator
from pathlib import Path

from domwarden.contract import Movement
from domwarden.migration.savefile import read_manifest
from domwarden.service import metrics
from domwarden.service.asking import Asked
from domwarden.service.cancelling import cancel
from domwarden.service.domains import known, peer_of
from domwarden.service.host import HostService
from domwarden.service.moves import Move
from domwarden.service.routes import Answer, Event


async def migrate(service: HostService, asked: Asked) -> Answer:
    """Begin to take a domain to a peer."""
    name, peer = await known(service, asked), peer_of(service, asked.body["to"])
    move = await service.moves.begin(
        name,
        Movement.MIGRATE,
        peer,
        asked.caller,
        lambda migration: service.warden.migrate(name, peer, migration=migration),
    )
    return await _begun(service, move)


async def save(service: HostService, asked: Asked) -> Answer:
    """Begin to release a domain to a directory."""
    name, path = await known(service, asked), Path(asked.body["path"])
    move = await service.moves.begin(
        name,
        Movement.SAVE,
        str(path),
        asked.caller,
        lambda migration: service.warden.save(name, path, migration=migration),
    )
    return await _begun(service, move)


async def restore(service: HostService, asked: Asked) -> Answer:
    """Begin to take a saved domain back."""
    path = Path(asked.body["path"])
    manifest = await asyncio.to_thread(read_manifest, path)
    move = await service.moves.begin(
        manifest.definition.name,
        Movement.RESTORE,
        str(path),
        asked.caller,
        lambda migration: service.warden.restore(
            path, fenced=asked.body["fenced"], migration=migration
        ),
    )
    return await _begun(service, move)


async def _begun(service: HostService, move: Move) -> Answer:
    return Answer(await service.moves.one(move.id), 202, f"/v1/migrations/{move.id}")


async def every(service: HostService, _asked: Asked) -> Answer:
    """Return the moves that this run began, and all that are unfinished."""
    return Answer(await service.moves.all())


async def one(service: HostService, asked: Asked) -> Answer:
    """Return one move."""
    return Answer(await service.moves.one(asked.path["migration"]))


async def give_up(service: HostService, asked: Asked) -> Answer:
    """Cancel a move."""
    migration = asked.path["migration"]
    await cancel(service.moves, service.looks, migration)
    return Answer(await service.moves.one(migration), 202, f"/v1/migrations/{migration}")


async def follow(service: HostService, asked: Asked) -> AsyncIterator[Event]:
    """Follow one move."""
    migration = asked.path["migration"]
    await service.moves.one(migration)
    return service.moves.follow(migration, asked.last_event)


async def recover(service: HostService, _asked: Asked) -> Answer:
    """Settle what is unfinished, as far as it goes now."""
    return Answer([settled.as_json() for settled in await service.warden.recover()])


async def plugins(_service: HostService, _asked: Asked) -> Answer:
    """List every installed driver."""
    from domwarden.plugins import installed

    drivers = await asyncio.to_thread(installed)
    return Answer([dataclasses.asdict(driver) for driver in drivers])


async def health(service: HostService, _asked: Asked) -> Answer:
    """Say that the service answers and its journal does, or fail."""
    return Answer({
        "status": "ok",
        "host": service.host_file.host.name,
        "version": importlib.metadata.version("domwarden"),
        "uptime_seconds": time.time() - service.begun_at,
        "domains": (await service.looks.desired()).total(),
        "unfinished": len(await service.looks.unfinished()),
    })  # fmt: skip


async def figures(service: HostService, _asked: Asked) -> Answer:
    """Return the figures for Prometheus."""
    return Answer(await service.metrics.text(service.looks), content_type=metrics.CONTENT_TYPE)

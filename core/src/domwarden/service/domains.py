"""What the API does with domains."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from domwarden.config import load_domain
from domwarden.contract import ConflictError
from domwarden.service import expiries
from domwarden.service.asking import Asked
from domwarden.service.claims import conflict
from domwarden.service.host import HostService
from domwarden.service.problems import ProblemError
from domwarden.service.routes import Answer, Event


async def known(service: HostService, asked: Asked) -> str:
    """Return the domain that the path or the body names; raises ProblemError for a stranger."""
    name = asked.path.get("domain") or str(asked.body["domain"])
    if not await service.looks.records(name):
        here = service.host_file.host.name
        what = f"{here} knows no domain {name}"
        raise ProblemError("unknown-domain", what, hint="start it first", domain=name)
    return name


async def every(service: HostService, _asked: Asked) -> Answer:
    """Look at all domains."""
    return Answer([status.as_json() for status in await service.looks.domains()])


async def one(service: HostService, asked: Asked) -> Answer:
    """Look at one domain."""
    (status,) = await service.looks.domains(await known(service, asked))
    return Answer(status.as_json())


async def status(service: HostService, asked: Asked) -> Answer:
    """Settle what is unfinished as far as it goes now, then look."""
    found = await service.warden.status(asked.body.get("domain"))
    return Answer([one.as_json() for one in found])


async def start(service: HostService, asked: Asked) -> Answer:
    """Start a domain from its file."""
    definition = await asyncio.to_thread(load_domain, Path(asked.body["path"]))
    name, paused, fenced = definition.name, asked.body["paused"], asked.body["fenced"]
    async with _acting(service, name, f"a start (begun by {asked.caller})"):
        await service.warden.start(definition, paused=paused, fenced=fenced)
    (status,) = await service.looks.domains(name)
    return Answer(status.as_json(), 201, f"/v1/domains/{name}")


async def stop(service: HostService, asked: Asked) -> Answer:
    """Stop a domain; what fails on the way is told, and stops nothing."""
    name = await known(service, asked)
    graceful_seconds = asked.body["graceful_seconds"]
    async with _acting(service, name, f"a stop (begun by {asked.caller})"):
        alarms = await service.warden.stop(name, graceful_seconds=graceful_seconds)
        return Answer({"domain": name, "state": "absent", "alarms": list(alarms)})


@contextlib.asynccontextmanager
async def _acting(service: HostService, domain: str, what: str) -> AsyncIterator[None]:
    """Hold the claim to a domain; a conflict names who is in the way, where the kernel tells."""
    with service.claims.take(domain, what):
        await service.claims.free(domain)
        try:
            yield
        except ConflictError as error:
            holder = await service.looks.holder(domain)
            if holder is None:
                raise
            raise conflict(domain, str(holder)) from error


async def plan(service: HostService, asked: Asked) -> Answer:
    """Say everything that would block a migration."""
    name = await known(service, asked)
    peer_of(service, asked.query["to"])
    return Answer((await service.warden.plan(name, asked.query["to"])).as_json())


def peer_of(service: HostService, name: str) -> str:
    """Return the name of a peer; raises ProblemError for one that the host file lacks."""
    peers = service.host_file.peers
    if name not in peers:
        hint = f"its peers: {', '.join(sorted(peers)) or 'none'}"
        here = service.host_file.host.name
        raise ProblemError("invalid", f"{name} is no peer of {here}", hint=hint)
    return name


async def fired(service: HostService, asked: Asked) -> Answer:
    """Return the history of a domain's watchdog."""
    name = await known(service, asked)
    return Answer([expiry.as_json() for expiry in await service.warden.expiries(name)])


async def follow(service: HostService, asked: Asked) -> AsyncIterator[Event]:
    """Follow one domain, or all."""
    wanted = await known(service, asked) if "domain" in asked.path else ""
    return _events(service, wanted, asked.last_event)


async def _events(service: HostService, wanted: str, after: int) -> AsyncIterator[Event]:
    with service.bus.follower() as follower:
        async for event in expiries.follow(service.looks, follower, after):
            if wanted in {"", event.data.get("domain", "")} or event.kind == "lost":
                yield event

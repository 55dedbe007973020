"""Domwarden itself in both dom0s: host files, the way to each other's ``peer``, domains."""

from __future__ import annotations

import asyncio
import itertools
import json
import shlex
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from domwarden.contract.streams import PKI_DIRECTORY
from domwarden.testing.authority import Authority

from . import guests
from .bed import Bed
from .build import GUEST_INITRD, GUEST_KERNEL
from .channel import Done
from .host import Host

#: A command is some seconds of Python's start alone, and a move waits for two emulated machines.
VERB_SECONDS = 900.0
#: An emulated host on a busy machine may stand still for seconds, and starts Python slowly.
SILENCE = "60s"
HOST_FILE = "/etc/domwarden/host.yaml"
#: Both hosts mount it: what the licences of the example need.
LICENCES = "/shared/licences"
LICENCE = "cad"
_PEER_PORT = 7001
#: An emulated host loads all of Python's libraries that a service needs.
START_SECONDS = 300.0
_numbers = itertools.count(1)


@dataclass
class Warden:
    """The ``domwarden`` of one host; its files lie in `folder`, the other host is its peer."""

    host: Host
    peer: Host
    folder: str
    #: Settings of drivers, beside those that two hosts need.
    drivers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    #: Whether a service runs here and the other host reaches it by TLS, as in earnest; otherwise
    #: each verb acts by itself.
    served: bool = False
    #: Emulated processors encrypt slowly.
    streams: str = "plain"

    @property
    def name(self) -> str:
        """The host's name."""
        return self.host.name

    async def install(self, *before_command: str) -> None:
        """Write the host file where domwarden looks for it.

        Words before the command that reaches the peer are a program that runs what follows it.
        """
        here = self.host.address
        peer: dict[str, Any] = {"silence": SILENCE}
        if self.served:
            peer["address"] = self.peer.address
        else:
            way = f"TCP:{self.peer.address}:{_PEER_PORT},connect-timeout=10"
            peer["command"] = [*before_command, "socat", "-t30", "STDIO", way]
        needed: dict[str, Mapping[str, Any]] = {
            "xen": {"migration_address": here},
            "blk": {"address": here},
            "licence": {"directory": LICENCES},
        }
        facts = {
            "host": self.name,
            "state": f"{self.folder}/state",
            "peers": {self.peer.name: peer},
            "streams": self.streams,
            "drivers": {
                name: {**needed.get(name, {}), **self.drivers.get(name, {})}
                for name in {**needed, **self.drivers}
            },
        }
        await self.host.put(HOST_FILE, yaml.safe_dump(facts).encode())

    async def run(
        self, *words: str, timeout_seconds: float = VERB_SECONDS, crash_at: str = ""
    ) -> Done:
        """Run ``domwarden`` to its end; `crash_at` is a point of ``domwarden.migration.crash``."""
        return await self.host.run(
            ["domwarden", *words],
            timeout_seconds=timeout_seconds,
            environment={"DOMWARDEN_CRASH_AT": crash_at} if crash_at else None,
        )

    async def json(self, *words: str, timeout_seconds: float = VERB_SECONDS) -> Any:
        """Return what it says with --json; raises Dom0Error unless it exits with 0."""
        done = await self.run(*words, "--json", timeout_seconds=timeout_seconds)
        return json.loads(done.check())

    async def start(self, name: str, **keys: Any) -> None:
        """Start a domain from a file with these keys; raises Dom0Error."""
        path = f"{self.folder}/{name}.yaml"
        await self.host.put(path, yaml.safe_dump(domain(name, **keys), sort_keys=False).encode())
        (await self.run("start", path)).check()

    async def log(self) -> str:
        """Return what this host's peers complained of."""
        return (await self.host.run(["cat", f"{self.folder}/peer.log"])).stdout


def domain(name: str, **keys: Any) -> dict[str, Any]:
    """Return a domain file of the test guest; `keys` are added, or replace some."""
    return {
        "domain": name,
        "engine": "xen",
        "type": "pvh",
        "memory": f"{guests.GUEST_MIB}MiB",
        "boot": {"kernel": GUEST_KERNEL, "initrd": GUEST_INITRD, "cmdline": guests.CMDLINE},
        "migration": {"timeout": "6min"},
        **keys,
    }


@asynccontextmanager
async def wardens(
    bed: Bed,
    drivers: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    served: bool = False,
    streams: str = "plain",
) -> AsyncIterator[tuple[Warden, Warden]]:
    """Enter wardens on both hosts that have never seen a domain, each the other one's peer.

    There is one free licence, `LICENCE`.  What they left running is ended with the context.
    """
    folder = f"/var/test/wardens/{next(_numbers)}"
    one, other = bed.hosts
    both = (
        Warden(one, other, folder, drivers or {}, served, streams),
        Warden(other, one, folder, drivers or {}, served, streams),
    )
    await one.output("rm", "-rf", LICENCES)
    await one.output("mkdir", LICENCES)
    await one.put(f"{LICENCES}/{LICENCE}.free", b"")
    async with AsyncExitStack() as stack:
        for warden in both:
            await warden.host.output("rm", "-rf", folder)
            await warden.host.output("mkdir", "-p", folder)
            await warden.install()
        if served:
            await _certify(both)
        ways = [_serving(warden) if served else _listening(warden) for warden in both]
        await asyncio.gather(*(stack.enter_async_context(way) for way in ways))
        try:
            yield both
        finally:
            await asyncio.gather(*(_end(warden) for warden in both))


@asynccontextmanager
async def _listening(warden: Warden) -> AsyncIterator[None]:
    """Let the other host run ``domwarden peer`` here: one for each connection, as inetd did it."""
    listen = f"TCP-LISTEN:{_PEER_PORT},reuseaddr,fork"
    words = shlex.join(["socat", listen, "EXEC:domwarden peer,nofork"])
    # cat ends with its input, that is with this context, and then the agent ends its whole group.
    script = f"{words} >/dev/null 2>>{warden.folder}/peer.log & exec cat"
    async with warden.host.channel.stream(command=["sh", "-c", script]):
        yield


async def _certify(both: Sequence[Warden]) -> None:
    """Give each host the files by which the other one knows it."""
    with tempfile.TemporaryDirectory() as folder:
        authority = Authority(Path(folder) / "pki", age_days=300)  # a machine may be behind
        for warden in both:
            files = authority.host(warden.name)
            for path in (files.authority, files.certificate, files.key):
                there = f"{PKI_DIRECTORY}/{path.name}"
                await warden.host.put(there, path.read_bytes(), mode=0o600)


@asynccontextmanager
async def _serving(warden: Warden) -> AsyncIterator[None]:
    """Run ``domwarden serve`` here."""
    script = f"domwarden serve >/dev/null 2>>{warden.folder}/peer.log & exec cat"
    async with warden.host.channel.stream(command=["sh", "-c", script]):
        async with asyncio.timeout(START_SECONDS):
            look = ["test", "-S", f"{warden.folder}/state/domwarden.sock"]
            while (await warden.host.run(look)).status:  # noqa: ASYNC110 - another machine's doing
                await asyncio.sleep(0.5)
        yield


async def _end(warden: Warden) -> None:
    """End the copies that Xen has and what watches them; the journal goes with its folder."""
    await guests.destroy_all(warden.host)
    for pid in (await warden.host.output("ps", "-o", "pid,args")).splitlines():
        number, _, words = pid.strip().partition(" ")
        # Drivers of moves, supervisors, peers and shims outlive the command that began them.
        if "domwarden" in words and "agent.py" not in words:
            await warden.host.run(["kill", "-9", number])


async def copies(bed: Bed, name: str) -> list[tuple[str, str, str]]:
    """Return (host, name, state) of every copy that Xen itself has, renamed and half-made ones too.

    The state is what ``xl list`` shows: ``r-----`` and ``-b----`` run, ``---s--`` is shut down.
    """
    found = []
    for host in bed.hosts:
        for line in (await host.output("xl", "list")).splitlines()[1:]:
            words = line.split()
            if words[0].startswith((name, "(null)")):
                found.append((host.name, words[0], words[4]))
    return found

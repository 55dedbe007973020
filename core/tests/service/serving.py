"""A service over the embedded engine in this process, and a client that speaks raw HTTP to it."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from domwarden.service.connection import Gate
from domwarden.service.host import HostService
from domwarden.service.server import serving

from ..migration.embedded_world import EmbeddedWorld

DOMAIN = "domain: {name}\nmemory: 2MiB\nboot: {{program: counter, period: 10ms}}\n{more}"
#: A move of such a domain takes longer than any test.
SLOW = "migration: {bandwidth: 8KiB/s, timeout: 10min}\n"


@dataclasses.dataclass(frozen=True)
class Reply:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def data(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The code of the problem that this is."""
        assert self.headers["content-type"].startswith("application/problem+json"), self
        assert self.data["status"] == self.status
        return str(self.data["code"])


def parse(raw: bytes) -> Reply:
    """Take an answer apart."""
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return Reply(int(first.split()[1]), headers, body)


class Client:
    """Asks one service."""

    def __init__(self, path: Path) -> None:
        self.path = path

    async def raw(self, request: bytes) -> Reply:
        """Send bytes, and read until the end."""
        reader, writer = await asyncio.open_unix_connection(str(self.path))
        writer.write(request)
        with contextlib.suppress(ConnectionError):
            await writer.drain()
        raw = await reader.read()
        writer.close()
        return parse(raw)

    async def ask(self, method: str, path: str, body: Any = None) -> Reply:
        """Ask as a client does."""
        return await self.raw(request(method, path, body))

    async def get(self, path: str) -> Reply:
        return await self.ask("GET", path)

    async def post(self, path: str, body: Any) -> Reply:
        return await self.ask("POST", path, body)

    async def events(self, path: str, last: int = 0) -> AsyncIterator[tuple[str, Any]]:
        """Yield the events of a stream, each with its kind."""
        reader, writer = await asyncio.open_unix_connection(str(self.path))
        head = f"GET {path} HTTP/1.0\r\nHost: x\r\nLast-Event-ID: {last}\r\n\r\n"
        writer.write(head.encode())
        try:
            assert b" 200 " in await reader.readline()
            while (await reader.readline()).strip():
                pass
            kind = ""
            while line := (await reader.readline()).decode():
                if line.startswith("event: "):
                    kind = line[7:].strip()
                elif line.startswith("data: "):
                    yield kind, json.loads(line[6:])
        finally:
            writer.close()

    async def end_of(self, migration: str) -> Any:
        """Follow a move to its end."""
        async for kind, data in self.events(f"/v1/migrations/{migration}/events"):
            if kind == "end":
                return data
        raise AssertionError("its events ended without an end")


def request(method: str, path: str, body: Any = None) -> bytes:
    """Write a request down."""
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\n"
    if body is None:
        return f"{head}\r\n".encode()
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    kind = f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
    return f"{head}{kind}".encode() + data


class Served:
    """A service with two hosts' worlds behind it."""

    def __init__(self, world: EmbeddedWorld, service: HostService) -> None:
        self.world = world
        self.service = service
        self.client = Client(service.host_file.socket_path)

    def file(self, name: str = "web1", more: str = "") -> str:
        """Write a domain's file and return its path."""
        path = self.world.directory / f"{name}.yaml"
        path.write_text(DOMAIN.format(name=name, more=more))
        return str(path)

    async def start(self, name: str = "web1", more: str = "") -> Any:
        """Start a domain through the API."""
        reply = await self.client.post("/v1/domains", {"path": self.file(name, more)})
        assert reply.status == 201, reply
        return reply.data


@contextlib.asynccontextmanager
async def served(directory: Path, gate: Gate | None = None) -> AsyncIterator[Served]:
    """Serve host a; its peer b lives in this process, too."""
    world = EmbeddedWorld(directory)
    world.devices = ()
    ports = dataclasses.replace(world.ports(), sleep=asyncio.sleep)
    try:
        async with serving(
            world.host_file("a"), ports=ports, in_process=True, gate=gate
        ) as service:
            yield Served(world, service)
    finally:
        world.close()

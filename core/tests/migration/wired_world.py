"""The toy hosts as peers that a command reaches, whose processes a test may end at any point."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import socket
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from domwarden.config import HostFile, Peer
from domwarden.migration import Hub, Ports, wire
from domwarden.migration.command import Reached
from domwarden.migration.conversation import Conversation
from domwarden.migration.serving import Serving

from .world import World


async def connected() -> tuple[
    tuple[asyncio.StreamReader, asyncio.StreamWriter],
    tuple[asyncio.StreamReader, asyncio.StreamWriter],
]:
    """Make one connection; returns its two ends."""
    here, there = socket.socketpair()
    return (
        await asyncio.open_connection(sock=here, limit=wire.LIMIT_BYTES),
        await asyncio.open_connection(sock=there, limit=wire.LIMIT_BYTES),
    )


class Served(Reached):
    """The process of a peer, in this one."""

    def __init__(self, world: WiredWorld, host: str) -> None:
        self._world = world
        self._host = host
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> Served:
        (self.reader, self.writer), (reader, writer) = await connected()
        self._task = asyncio.create_task(self._serve(reader, writer))
        return self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def at(point: str) -> None:
            try:
                self._world.at(point)
            except BaseException:
                writer.transport.abort()  # what a killed process's kernel does
                raise

        ports = dataclasses.replace(self._world.ports(), at=at)
        hub = Hub(self._world.host_file(self._host), ports)
        try:
            async with hub:
                await Serving(hub, reader, writer).run()
        finally:
            writer.close()

    async def last_words(self) -> str:
        return "it was killed"

    async def end(self, patience_seconds: float) -> None:
        self.writer.close()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)


class WiredWorld(World):
    """Two hosts that speak to each other over streams; each link has a peer of its own."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.reached: list[str] = []
        self.refusing: set[str] = set()

    def host_file(self, name: str) -> HostFile:
        peers = {n: Peer(n, command=("reach", n)) for n in self.hosts if n != name}
        return HostFile(self.hosts[name], peers)

    def ports(self) -> Ports:
        return dataclasses.replace(super().ports(), reach=self.reach)

    async def reach(self, peer: str, command: Sequence[str]) -> Reached:
        assert tuple(command) == ("reach", peer)
        self.reached.append(peer)
        if peer in self.refusing:
            return await _Gone().start()
        return await Served(self, peer).start()


class _Gone(Reached):
    """A command that ends at once."""

    async def start(self) -> _Gone:
        (self.reader, self.writer), (_, writer) = await connected()
        writer.close()
        return self

    async def last_words(self) -> str:
        return "ssh: connect to host b port 22: No route to host"

    async def end(self, patience_seconds: float) -> None:
        self.writer.close()


def lines(*said: Any) -> bytes:
    """Return what a client sends."""
    return b"".join(one if isinstance(one, bytes) else wire.encode(one) for one in said)


@contextlib.asynccontextmanager
async def serving(
    world: World, host: str = "b"
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter, Hub]]:
    """Serve a host; yields the client's end, after the greeting."""
    (reader, writer), there = await connected()
    async with world.hub(host) as hub:
        task = asyncio.create_task(Serving(hub, *there).run())
        try:
            assert await wire.read(reader, 10) == wire.greeting(host)
            yield reader, writer, hub
        finally:
            writer.close()
            await asyncio.wait_for(task, 10)
            there[1].close()


@contextlib.asynccontextmanager
async def conversation(world: World) -> AsyncIterator[tuple[Conversation, Hub]]:
    async with serving(world) as (reader, writer, hub):
        asking = Conversation("b", reader, writer, lambda _: None)
        try:
            yield asking, hub
        finally:
            await asking.aclose()


EPOCH = {
    "id": 1,
    "migration": "",
    "step": "epoch",
    "body": {"domain": "web1", "engine": "toy", "nonce": ""},
}

"""The toy hosts as peers that TLS connects, with certificates that `domwarden pki` made."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from domwarden.config import Address, HostFile, Peer
from domwarden.contract import Tls, tls
from domwarden.migration import Message
from domwarden.migration.dialling import Dialled
from domwarden.migration.listening import Listener, listening
from domwarden.migration.peerlink import PeerLink
from domwarden.testing.authority import Authority

from .world import World

LOOPBACK = "127.0.0.1"
EPOCH = Message("", "epoch", {"domain": "web1", "engine": "toy", "nonce": ""})
SAID = b'{"ping":1}\n'


class TlsWorld(World):
    """Two hosts that reach each other at addresses."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.authority = Authority(directory / "pki", age_days=30)
        self.credentials = {name: self.authority.host(name) for name in self.hosts}
        nowhere = Address(LOOPBACK, 1)
        # Corrected as they begin to listen, in the files that were handed out before, too.
        self.peers: dict[str, dict[str, Peer]] = {
            name: {other: Peer(other, address=nowhere) for other in self.hosts if other != name}
            for name in self.hosts
        }

    def host_file(self, name: str) -> HostFile:
        return HostFile(
            dataclasses.replace(self.hosts[name], tls=self.credentials[name]),
            self.peers[name],
            listen=Address(LOOPBACK, 0),
        )

    @contextlib.asynccontextmanager
    async def listening(self, *hosts: str) -> AsyncIterator[dict[str, Listener]]:
        """Let these hosts, or both, be reached."""
        async with contextlib.AsyncExitStack() as stack:
            listeners = {}
            for host in hosts or tuple(self.hosts):
                listener = await stack.enter_async_context(
                    listening(self.host_file(host), self.ports)
                )
                listeners[host] = listener
                for other in set(self.hosts) - {host}:
                    self.peers[other][host] = Peer(host, address=listener.addresses[0])
            yield listeners


async def until(condition: Callable[[], object]) -> None:
    """Wait for what other tasks do; the test's own limit bounds it."""
    while not condition():  # noqa: ASYNC110 - nobody tells of it
        await asyncio.sleep(0.01)


async def shown(
    address: Address, context: ssl.SSLContext | None = None, *, says: bytes = b""
) -> bytes:
    """Connect, say something, and return every byte that comes until the other end closes."""
    got = b""
    with contextlib.suppress(OSError):
        reader, writer = await asyncio.open_connection(address.host, address.port, ssl=context)
        try:
            writer.write(says)
            while part := await reader.read(65536):
                got += part
        finally:
            writer.transport.abort()
    return got


def client(credentials: Tls) -> ssl.SSLContext:
    """Return what a client with these files connects with."""
    return tls.context(credentials, server=False)


def link(world: TlsWorld, address: Address, credentials: Tls | None = None) -> PeerLink:
    """Return host a's way to host b."""
    own = credentials or world.credentials["a"]
    return PeerLink("b", lambda: Dialled.start("b", address, own), lambda _: None)


def refusals(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what the log says of refused clients, a line each, and forget it."""
    said = [r.getMessage() for r in caplog.records if r.name == listening.__module__]
    assert all(line.startswith(f"refused {LOOPBACK}, port ") for line in said)
    caplog.clear()
    return [line.partition(": ")[2] for line in said]


async def logged(caplog: pytest.LogCaptureFixture) -> str:
    """Wait for the one line about a client and return it."""
    await until(lambda: caplog.records)
    (line,) = refusals(caplog)
    return line


@contextlib.asynccontextmanager
async def served(
    answer: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    credentials: Tls,
) -> AsyncIterator[Address]:
    """Let a peer of the test's own listen with these files."""
    context = tls.context(credentials, server=True)
    server = await asyncio.start_server(answer, LOOPBACK, 0, ssl=context)
    async with server:
        yield Address(*server.sockets[0].getsockname()[:2])

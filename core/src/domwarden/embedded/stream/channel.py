"""What a stream goes through: a socket, or a file."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from domwarden.contract import EngineError, Host, PermanentError, Stream, stream_at
from domwarden.embedded.sockets import reach_unix

#: How long the two ends may take to show who they are.
HANDSHAKE_SECONDS = 10.0


class Channel(Protocol):
    """Bytes out, and — but for a file — bytes back."""

    #: Whether the other end answers.
    answers: bool

    async def send(self, data: bytes) -> None:
        """Write; returns once the channel takes more."""

    async def receive(self, count: int) -> bytes:
        """Read that many bytes, fewer at the end only."""

    async def settle(self) -> None:
        """Return once what was sent is safe from a crash of this side's host, for a file."""

    def close(self) -> None:
        """Let go at once; idempotent."""


class SocketChannel:
    """A connected stream socket."""

    answers = True

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, data: bytes) -> None:
        """Write, and wait for room."""
        self._writer.write(data)
        await self._writer.drain()

    async def receive(self, count: int) -> bytes:
        """Read; fewer bytes at the end only."""
        try:
            return await self._reader.readexactly(count)
        except asyncio.IncompleteReadError as error:
            return error.partial

    async def settle(self) -> None:
        """Nothing: the other end answers."""

    def close(self) -> None:
        """Reset the connection."""
        self._writer.transport.abort()


class FileChannel:
    """A file; all of its work is done in threads."""

    answers = False

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    async def send(self, data: bytes) -> None:
        """Write."""
        await asyncio.to_thread(self._file.write, data)

    async def receive(self, count: int) -> bytes:
        """Read."""
        return await asyncio.to_thread(self._file.read, count)

    async def settle(self) -> None:
        """Flush and fsync."""
        await asyncio.to_thread(self._sync)

    def close(self) -> None:
        """Close."""
        self._file.close()

    def _sync(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())


async def connect(
    address: Mapping[str, Any], timeout_seconds: float, host: Host, peer: str
) -> Channel:
    """Reach the incoming end on that peer, or create the file; raises EngineError.

    Nothing leaves the machine in plain unless this host's file says so.
    """
    try:
        async with asyncio.timeout(timeout_seconds):
            if "file" in address:
                return FileChannel(await asyncio.to_thread(_create, Path(address["file"])))
            if "unix" in address:
                sock = await reach_unix(Path(address["unix"]))
                return SocketChannel(*await asyncio.open_unix_connection(sock=sock))
            return await _connect_tcp(address, host, peer)
    except (OSError, TimeoutError, KeyError, ValueError, PermanentError) as error:
        what = str(error) or type(error).__name__
        raise EngineError(f"cannot reach the incoming end at {dict(address)}: {what}") from error


async def _connect_tcp(address: Mapping[str, Any], host: Host, peer: str) -> Channel:
    where, port = address["tcp"]
    stream = stream_at(host, str(where))
    if stream != address.get("stream"):
        raise PermanentError(f"the other host takes the stream {address.get('stream')}")
    if stream is not Stream.TLS:
        return SocketChannel(*await asyncio.open_connection(where, port))
    from domwarden.contract import tls  # here: OpenSSL costs start-up time

    context = await asyncio.to_thread(tls.context, host.credentials, server=False)
    reader, writer = await asyncio.open_connection(
        where, port, ssl=context, ssl_handshake_timeout=HANDSHAKE_SECONDS
    )
    try:
        tls.require(writer.get_extra_info("peercert"), peer)
    except PermanentError:
        writer.transport.abort()
        raise
    return SocketChannel(reader, writer)


async def open_file(path: Path) -> Channel:
    """Open a save for reading; raises EngineError."""
    try:
        return FileChannel(await asyncio.to_thread(path.open, "rb"))
    except OSError as error:
        raise EngineError(f"cannot read the save: {error}") from error


def _create(path: Path) -> BinaryIO:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    return os.fdopen(descriptor, "wb", buffering=1024 * 1024)

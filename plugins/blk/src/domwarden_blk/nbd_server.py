"""A server of the NBD protocol for one image."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import socket
import ssl
import struct
from pathlib import Path

from domwarden.contract import PermanentError
from domwarden_blk import nbd_wire as wire
from domwarden_blk.travel import Secured

logger = logging.getLogger(__name__)

_HANDSHAKE_SECONDS = 10.0


class NbdServer:
    """Serves one open file under one name on one socket until it is closed."""

    def __init__(self, handle: int, export: str, secured: Secured | None = None) -> None:
        self._handle = handle
        self._secured = secured
        self._context: ssl.SSLContext | None = None
        self._export = export.encode()
        self._server: asyncio.Server | None = None
        self._path: Path | None = None
        self._connections: set[asyncio.StreamWriter] = set()
        self._clients: set[asyncio.Task[None] | None] = set()

    async def listen(self, path: Path) -> None:
        """Serve on a socket that only the owner may use; one left behind is replaced."""
        listener = await asyncio.to_thread(_bind, path)
        self._path = path
        self._server = await asyncio.start_unix_server(self._serve, sock=listener)

    async def listen_tcp(self, address: str) -> int:
        """Serve on a free port of one of this host's addresses; returns the port."""
        if self._secured is not None:
            self._context = await asyncio.to_thread(self._secured.context, server=True)
        self._server = await asyncio.start_server(self._serve, address, 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def wait_closed(self) -> None:
        """Return once nothing here uses the file any more; call ``close`` first."""
        clients = {task for task in self._clients if task is not None}
        if clients:
            await asyncio.wait(clients)

    def close(self) -> None:
        """Stop serving and drop every client; idempotent, and quick enough for the event loop."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        for writer in tuple(self._connections):
            writer.close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = asyncio.current_task()
        self._clients.add(client)
        self._connections.add(writer)
        try:
            if await self._handshake(reader, writer):
                while await self._answer(reader, writer):
                    pass
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client went away; what it had written and not flushed is its own affair
        except PermanentError as error:
            logger.warning("refused %s: %s", writer.get_extra_info("peername"), error)
        finally:
            self._connections.discard(writer)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            self._clients.discard(client)

    async def _handshake(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        flags = wire.FIXED_NEWSTYLE | wire.NO_ZEROES
        writer.write(wire.GREETING.pack(wire.MAGIC, wire.OPTION_MAGIC, flags))
        (client_flags,) = struct.unpack(">I", await reader.readexactly(4))
        if await self._choice(reader, writer) != self._export:
            return False
        size_bytes = os.fstat(self._handle).st_size
        offers = wire.TRANSMISSION_HAS_FLAGS | wire.TRANSMISSION_SEND_FLUSH
        padding = b"" if client_flags & wire.NO_ZEROES else bytes(124)
        writer.write(wire.EXPORT.pack(size_bytes, offers) + padding)
        await writer.drain()
        return True

    async def _choice(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bytes | None:
        """Return the export the client wants; other options are politely unknown."""
        secure = self._context is None
        while True:
            head = await reader.readexactly(wire.OPTION.size)
            magic, option, length = wire.OPTION.unpack(head)
            if magic != wire.OPTION_MAGIC or length > wire.OPTION_LIMIT_BYTES:
                return None
            data = await reader.readexactly(length)
            if option == wire.OPTION_STARTTLS and self._context is not None and not secure:
                await wire.end_plain(reader)
                answer = (wire.OPTION_REPLY_MAGIC, option, wire.REPLY_ACK, 0)
                writer.write(wire.OPTION_REPLY.pack(*answer))
                await self._start_tls(writer, self._context)
                secure = True
                continue
            if option == wire.OPTION_EXPORT_NAME:
                return data if secure else None
            unknown = (wire.OPTION_REPLY_MAGIC, option, wire.REPLY_UNSUPPORTED, 0)
            writer.write(wire.OPTION_REPLY.pack(*unknown))
            await writer.drain()

    async def _start_tls(self, writer: asyncio.StreamWriter, context: ssl.SSLContext) -> None:
        assert self._secured is not None  # the context was made from it
        await writer.start_tls(context, ssl_handshake_timeout=_HANDSHAKE_SECONDS)
        self._secured.require(writer.get_extra_info("peercert"))

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readexactly(wire.REQUEST.size)
        magic, _, command, handle, offset, length = wire.REQUEST.unpack(head)
        if magic != wire.REQUEST_MAGIC or length > wire.REQUEST_LIMIT_BYTES:
            return False
        if command == wire.Command.DISCONNECT:
            return False
        data = await reader.readexactly(length) if command == wire.Command.WRITE else b""
        error, payload = 0, b""
        try:
            payload = await asyncio.to_thread(self._perform, command, offset, length, data)
        except OSError as fault:
            error = wire.ENOSPC if fault.errno == errno.ENOSPC else wire.EIO
        except ValueError:
            error = wire.EINVAL
        writer.write(wire.REPLY.pack(wire.REPLY_MAGIC, error, handle) + payload)
        await writer.drain()
        return True

    def _perform(self, command: int, offset: int, length: int, data: bytes) -> bytes:
        if offset + length > os.fstat(self._handle).st_size:
            raise ValueError(offset)
        if command == wire.Command.READ:
            return os.pread(self._handle, length, offset)
        if command == wire.Command.WRITE:
            os.pwrite(self._handle, data, offset)
        elif command == wire.Command.FLUSH:
            os.fsync(self._handle)
        else:
            raise ValueError(command)
        return b""


def _bind(path: Path) -> socket.socket:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    try:
        # Nobody may connect between the birth of the name and its mode: it listens only later.
        listener.bind(str(path))
        path.chmod(0o600)
    except OSError:
        listener.close()
        raise
    return listener

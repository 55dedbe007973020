"""A client of the NBD protocol, as small as comparing and mirroring need."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Mapping
from typing import Any

from domwarden.contract import PermanentError
from domwarden_blk import nbd_wire as wire
from domwarden_blk.travel import Secured


class NbdClient:
    """One connection to one export; made by :func:`connected`."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, size_bytes: int
    ) -> None:
        self.size_bytes = size_bytes
        self._reader = reader
        self._writer = writer
        self._handle = 0

    async def read(self, offset: int, length: int) -> bytes:
        """Return bytes of the disk; raises PermanentError when the server cannot read them."""
        handle = self.send_read(offset, length)
        return await self.receive(handle, length)

    def send_read(self, offset: int, length: int) -> int:
        """Ask for bytes without waiting; take them with :meth:`receive` before the next request.

        A server may answer requests in any order, so there is one at a time.
        """
        return self._send(wire.Command.READ, offset, length)

    async def receive(self, handle: int, length: int) -> bytes:
        """Return what ``send_read`` asked for."""
        await self._reply(handle, "read")
        return await self._reader.readexactly(length)

    async def write(self, offset: int, data: bytes) -> None:
        """Write bytes; raises PermanentError when the server cannot."""
        handle = self._send(wire.Command.WRITE, offset, len(data), data)
        await self._writer.drain()
        await self._reply(handle, "write")

    async def flush(self) -> None:
        """Return once everything written is durable at the server."""
        await self._reply(self._send(wire.Command.FLUSH, 0, 0), "flush")

    def disconnect(self) -> None:
        """Say goodbye."""
        self._send(wire.Command.DISCONNECT, 0, 0)

    def _send(self, command: wire.Command, offset: int, length: int, data: bytes = b"") -> int:
        self._handle += 1
        head = wire.REQUEST.pack(wire.REQUEST_MAGIC, 0, int(command), self._handle, offset, length)
        self._writer.write(head + data)
        return self._handle

    async def _reply(self, handle: int, what: str) -> None:
        await self._writer.drain()
        head = await self._reader.readexactly(wire.REPLY.size)
        magic, error, answered = wire.REPLY.unpack(head)
        if magic != wire.REPLY_MAGIC or answered != handle:
            raise PermanentError(f"the NBD server broke the protocol at a {what}")
        if error:
            raise PermanentError(f"the NBD server could not {what}: error {error}")


@contextlib.asynccontextmanager
async def connected(
    address: Mapping[str, Any],
    export: str,
    secured: Secured | None = None,
    *,
    timeout_seconds: float = 10.0,
) -> AsyncIterator[NbdClient]:
    """Connect to an export; ``address`` is a ``SocketAddress`` as QMP writes it.

    With ``secured`` no byte of the disk is sent or read before the server has shown who it is.

    Raises PermanentError when there is no such server or export, or the connection is lost.
    """
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(timeout_seconds):
            if address["type"] == "unix":
                reader, writer = await asyncio.open_unix_connection(str(address["path"]))
            else:
                where = address["host"], int(address["port"])
                reader, writer = await asyncio.open_connection(*where)
            size_bytes = await _handshake(reader, writer, export, secured)
        client = NbdClient(reader, writer, size_bytes)
        yield client
        client.disconnect()
    except (OSError, asyncio.IncompleteReadError, struct.error) as error:
        what = str(error) or type(error).__name__
        raise PermanentError(f"the NBD export '{export}' cannot be used: {what}") from error
    finally:
        if writer is not None:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


async def _handshake(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    export: str,
    secured: Secured | None,
) -> int:
    magic, option_magic, flags = wire.GREETING.unpack(await reader.readexactly(wire.GREETING.size))
    if magic != wire.MAGIC or option_magic != wire.OPTION_MAGIC or not flags & wire.FIXED_NEWSTYLE:
        raise PermanentError("the other end of the disk does not speak NBD")
    shortened = flags & wire.NO_ZEROES
    name = export.encode()
    writer.write(struct.pack(">I", wire.FIXED_NEWSTYLE | shortened))
    if secured is not None:
        await _start_tls(reader, writer, secured)
    writer.write(wire.OPTION.pack(wire.OPTION_MAGIC, wire.OPTION_EXPORT_NAME, len(name)) + name)
    await writer.drain()
    answer = await reader.readexactly(wire.EXPORT.size + (0 if shortened else 124))
    size_bytes, _ = wire.EXPORT.unpack_from(answer)
    return int(size_bytes)


async def _start_tls(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, secured: Secured
) -> None:
    context = await asyncio.to_thread(secured.context, server=False)
    writer.write(wire.OPTION.pack(wire.OPTION_MAGIC, wire.OPTION_STARTTLS, 0))
    await writer.drain()
    answer = wire.OPTION_REPLY.unpack(await reader.readexactly(wire.OPTION_REPLY.size))
    if answer != (wire.OPTION_REPLY_MAGIC, wire.OPTION_STARTTLS, wire.REPLY_ACK, 0):
        raise PermanentError("the other end of the disk does not speak TLS")
    await wire.end_plain(reader)
    await writer.start_tls(context)
    secured.require(writer.get_extra_info("peercert"))

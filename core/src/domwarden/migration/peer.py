"""The process that answers for this host: ``domwarden peer``, on standard input and output.

When its client goes and leaves a move unfinished that has this host as its destination, the process
closes its streams and tries to settle the move for a while, as the driver of a move does at the
other end: no held copy waits for nobody.
"""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import sys
from typing import TYPE_CHECKING

from domwarden.contract import PermanentError
from domwarden.migration import wire
from domwarden.migration.answering import answer, stay
from domwarden.migration.crash import ENVIRONMENT
from domwarden.migration.hub import Hub
from domwarden.migration.site import Ports

if TYPE_CHECKING:
    from collections.abc import Callable

    from domwarden.config import HostFile


def serve(host_file: HostFile, make_ports: Callable[[], Ports] = Ports) -> None:
    """Answer until the client is gone, and settle what it left; raises DomwardenError."""
    reading, writing = _streams()
    domains = asyncio.run(_serve(Hub(host_file, make_ports()), reading, writing))
    if domains:
        nowhere = os.open(os.devnull, os.O_RDWR)
        for standard in (0, 1, 2):
            os.dup2(nowhere, standard)  # or the login that brought us here would not end
        os.environ.pop(ENVIRONMENT, None)  # meant for the one that served
        asyncio.run(stay(lambda: Hub(host_file, make_ports()), domains))


def _streams() -> tuple[int, int]:
    """Take standard input and output for the protocol: what else is printed goes to stderr."""
    if os.isatty(0) or os.isatty(1):
        raise PermanentError(
            "peer speaks to another domwarden, not to a terminal",
            hint="name this command in the other host's file, under peers",
        )
    sys.stdout.flush()
    reading, writing = os.dup(0), os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nowhere, 0)
    os.close(nowhere)
    os.dup2(2, 1)
    return reading, writing


async def _serve(hub: Hub, reading: int, writing: int) -> set[str]:
    """Answer; returns the domains whose move here is not finished."""
    return await answer(hub, *await _opened(reading, writing))


async def _opened(reading: int, writing: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open descriptors as streams: a socket both ways, as sshd and a link make it, or two pipes."""
    here, there = os.fstat(reading), os.fstat(writing)
    try:
        if stat.S_ISSOCK(there.st_mode):
            # Not as a write pipe: that one takes whatever arrives for the end of the connection.
            sock = socket.socket(fileno=writing)
            reader, writer = await asyncio.open_connection(sock=sock, limit=wire.LIMIT_BYTES)
            if (here.st_dev, here.st_ino) != (there.st_dev, there.st_ino):
                reader = await _read_pipe(reading)
            else:
                os.close(reading)  # or the client would not see the end when the stream is closed
            return reader, writer
        loop = asyncio.get_running_loop()
        pipe = os.fdopen(writing, "wb", 0)
        sink, protocol = await loop.connect_write_pipe(_pipe_protocol, pipe)
        return await _read_pipe(reading), asyncio.StreamWriter(sink, protocol, None, loop)
    except ValueError as error:
        raise PermanentError(f"peer speaks over a pipe or a socket: {error}") from error


async def _read_pipe(descriptor: int) -> asyncio.StreamReader:
    reader = asyncio.StreamReader(limit=wire.LIMIT_BYTES)
    pipe = os.fdopen(descriptor, "rb", 0)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    return reader


def _pipe_protocol() -> asyncio.StreamReaderProtocol:
    """Return what a StreamWriter over a pipe needs for its drain()."""
    return asyncio.StreamReaderProtocol(asyncio.StreamReader())

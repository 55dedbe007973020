"""The ways a migration stream can take, as plain data and as QEMU's descriptors and addresses."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncGenerator
from typing import Any

from domwarden.contract import Address, EngineError

from .monitor import Session

CONNECT_TIMEOUT_SECONDS = 10.0
_NAME = "stream"


def is_file(address: Address) -> bool:
    """Say whether the address is a save's file."""
    return "file" in address


async def hand_over(session: Session, address: Address) -> str:
    """Open the stream for writing, give it to the source's QEMU; returns the URI for ``migrate``.

    We connect, not QEMU: its sandbox then needs no paths, a refused connection is a clear error at
    once, and a file needs no helper program.
    """
    descriptor = await asyncio.to_thread(_open, address)
    try:
        await session.pass_descriptor(_NAME, descriptor)
    finally:
        os.close(descriptor)
    return f"fd:{_NAME}"


def _open(address: Address) -> int:
    try:
        if is_file(address):
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
            return os.open(address["file"], flags, 0o600)
        with contextlib.closing(_socket(address)) as sock:
            sock.setblocking(True)  # QEMU decides about blocking by itself
            return sock.detach()
    except OSError as error:
        where = address.get("file") or address.get("unix") or address.get("tcp")
        raise EngineError(f"{where}: {error.strerror or error}", command="migrate") from error


def _socket(address: Address) -> socket.socket:
    if "unix" in address:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(CONNECT_TIMEOUT_SECONDS)
        try:
            sock.connect(address["unix"])
        except OSError:
            sock.close()
            raise
        return sock
    if "tcp" in address:
        place = (address["tcp"]["host"], int(address["tcp"]["port"]))
        return socket.create_connection(place, CONNECT_TIMEOUT_SECONDS)
    raise EngineError(f"an address that this engine does not know: {dict(address)}")


@contextlib.asynccontextmanager
async def reading(address: Address | None, number: int) -> AsyncGenerator[dict[int, int], None]:
    """Open a save for reading, as a descriptor that the destination's QEMU inherits."""
    if address is None:
        yield {}
        return
    try:
        descriptor = os.open(address["file"], os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise EngineError(f"{address['file']}: {error.strerror}") from error
    try:
        yield {number: descriptor}
    finally:
        os.close(descriptor)


def tcp_address(answer: dict[str, Any]) -> Address:
    """Read where the destination listens from its ``query-migrate``; raises EngineError."""
    for place in answer.get("socket-address", ()):
        if place.get("type") == "inet":
            return {"tcp": {"host": place["host"], "port": int(place["port"])}}
    raise EngineError("QEMU does not say where it listens", command="query-migrate")

"""The ways a migration stream can take, as plain data and as QEMU's descriptors and addresses."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncGenerator, Mapping

from domwarden.contract import Address, EngineError, Host, Stream, stream_at
from domwarden.contract.qemu_tls import qemu_connects

from .monitor import Session

CONNECT_TIMEOUT_SECONDS = 10.0
_NAME = "stream"
#: QEMU's object of the credentials for a stream; no device of a domain's file is called so.
TLS = "domwarden.tls"


def is_file(address: Address) -> bool:
    """Say whether the address is a save's file."""
    return "file" in address


@contextlib.asynccontextmanager
async def handed_over(
    session: Session, host: Host, peer: str, address: Address
) -> AsyncGenerator[str]:
    """Open the stream for writing, give it to the source's QEMU; yields the URI for ``migrate``.

    We connect, not QEMU: its sandbox then needs no paths, a refused connection is a clear error at
    once, and a file needs no helper program.  A failure inside the context cuts the connection: a
    cancel alone does not end a TLS handshake that hangs.
    """
    await _set_tls(session, host, peer, address)
    descriptor = await asyncio.to_thread(_open, address)
    try:
        await session.pass_descriptor(_NAME, descriptor)
        if "tcp" in address:
            # QEMU makes what it is passed blocking; a handshake would then stop its main loop.
            os.set_blocking(descriptor, False)
        yield f"fd:{_NAME}"
    except BaseException:
        if not is_file(address):
            _cut(descriptor)
        raise
    finally:
        os.close(descriptor)


def _cut(descriptor: int) -> None:
    with socket.socket(fileno=os.dup(descriptor)) as sock, contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


async def _set_tls(session: Session, host: Host, peer: str, address: Address) -> None:
    """Encrypt what leaves the machine, by the rule of this host; raises EngineError."""
    chosen: Mapping[str, str] = {"tls-creds": "", "tls-hostname": ""}
    if "tcp" in address:
        where = str(address["tcp"]["host"])
        stream = stream_at(host, where)
        if stream != address.get("stream"):
            raise EngineError(
                f"{where}: the other host takes the stream {address.get('stream')}, not {stream}",
                hint="write the same `streams` into both host files",
            )
        if stream is Stream.TLS:
            chosen = await qemu_connects(session.execute, host, TLS, peer)
    await session.execute("migrate-set-parameters", chosen)


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
        sock = socket.create_connection(place, CONNECT_TIMEOUT_SECONDS)
        try:
            sock.sendall(str(address.get("word", "")).encode())
        except OSError:
            sock.close()
            raise
        return sock
    raise EngineError(f"an address that this engine does not know: {dict(address)}")


async def take(session: Session, sock: socket.socket) -> None:
    """Give the destination's QEMU the connection of its source; raises EngineError."""
    await session.pass_descriptor(_NAME, sock.fileno())
    sock.setblocking(False)  # as in handed_over
    await session.execute("migrate-incoming", {"uri": f"fd:{_NAME}"})


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

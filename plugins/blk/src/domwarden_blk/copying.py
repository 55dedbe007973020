"""Both ends of a copy: the file goes over while the guest runs, what changed once it stands still.

Nothing asks the engine, so it works on any whose disk is this very file.  Xen's blkback answers a
write when it is in the file, and the guest repeats on the other host what was not answered, so a
suspended domain's file is complete.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from domwarden.contract import Domain, JobContext, PermanentError, Stream
from domwarden_blk import names
from domwarden_blk.ends import SocketAddress
from domwarden_blk.nbd_client import NbdClient, connected
from domwarden_blk.serving import serve, stop_serving
from domwarden_blk.sums import pack, regions, spans, sum_of, unpack
from domwarden_blk.travel import Secured, arriving, secured

#: Blocks from one report to the next.
_REPORT_EVERY = 16


class CopySource:
    """The end that has the disk."""

    def __init__(self, domain: Domain, image: Path) -> None:
        self._image = image
        self._domain = domain
        self._export = domain.device
        self._sums = names.sums(domain)

    async def copy(self, address: SocketAddress, context: JobContext) -> None:
        """Send everything but zeros, and remember what was sent."""
        await self._send(address, [], context)

    async def settle(self, address: SocketAddress, context: JobContext) -> None:
        """Read it once more and send what is another now."""
        await self._send(address, await asyncio.to_thread(self._sent), context)

    async def settled(self) -> None:
        """Nothing is on its way: every write was answered, and the last flush too."""

    async def digests(self, _context: JobContext) -> list[str]:
        """Return what was sent last, which was read while the domain stood still."""
        sums = await asyncio.to_thread(self._sent)
        return regions(sums, await asyncio.to_thread(_size, self._image))

    async def undo(self) -> None:
        """Nothing runs that would have to end."""

    async def _send(self, address: SocketAddress, sent: list[bytes], context: JobContext) -> None:
        handle = await asyncio.to_thread(_open, self._image)
        try:
            way = secured(self._domain, address)
            async with connected(address, self._export, way) as client:
                sums = await _send_changes(handle, client, sent, context)
                await client.flush()
        finally:
            os.close(handle)
        await asyncio.to_thread(self._remember, sums)

    def _remember(self, sums: list[bytes]) -> None:
        self._sums.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._sums.write_bytes(pack(sums))

    def _sent(self) -> list[bytes]:
        try:
            return unpack(self._sums.read_bytes())
        except FileNotFoundError:
            raise PermanentError(f"what was copied of {self._image} is not known here") from None


class CopyTarget:
    """The end that gets the disk."""

    def __init__(self, domain: Domain, image: Path) -> None:
        self._image = image
        self._export = domain.device
        self._socket = names.served_socket(domain)
        self._domain = domain

    async def offer(self) -> SocketAddress:
        """Serve the target."""
        address, stream = arriving(self._domain)
        way = Secured(self._domain.host, self._domain.peer) if stream is Stream.TLS else None
        served = await serve(self._image, self._export, self._socket, address, way)
        return {**served, "stream": stream}

    async def digests(self, context: JobContext) -> list[str]:
        """Read what arrived."""
        handle = await asyncio.to_thread(_open, self._image)
        try:
            size_bytes, sums = os.fstat(handle).st_size, []
            for offset, length in spans(size_bytes):
                sums.append(sum_of(await asyncio.to_thread(os.pread, handle, length, offset)))
                _report(context, "comparing", len(sums), offset + length, size_bytes)
        finally:
            os.close(handle)
        return regions(sums, size_bytes)

    async def withdraw(self) -> None:
        """Let nobody write the target but this domain."""
        await stop_serving(self._image)


async def _send_changes(
    handle: int, client: NbdClient, sent: list[bytes], context: JobContext
) -> list[bytes]:
    size_bytes, sums = os.fstat(handle).st_size, []
    if size_bytes != client.size_bytes:
        raise PermanentError(f"the disk has {size_bytes} bytes, its copy {client.size_bytes}")
    for number, (offset, length) in enumerate(spans(size_bytes)):
        block, found = await asyncio.to_thread(_read, handle, length, offset)
        # A new target reads as zeros.
        changed = sent[number] != found if sent else block.count(0) != length
        if changed:
            await client.write(offset, block)
        sums.append(found)
        _report(context, "copying", number, offset + length, size_bytes)
    return sums


def _report(context: JobContext, what: str, number: int, done: int, total: int) -> None:
    if number % _REPORT_EVERY == 0 or done == total:
        context.report(what, done=done, total=total)


def _open(image: Path) -> int:
    """Open an image without what this host's page cache may hold of it."""
    handle = os.open(image, os.O_RDONLY | os.O_CLOEXEC)
    os.fdatasync(handle)  # pages that are dirty stay in the cache
    os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
    return handle


def _read(handle: int, length: int, offset: int) -> tuple[bytes, bytes]:
    block = os.pread(handle, length, offset)
    return block, sum_of(block)


def _size(image: Path) -> int:
    return image.stat().st_size

"""The jobs of a disk that is mirrored or copied, on its destination."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path
from typing import Any

from domwarden.contract import Domain, JobContext, PermanentError, Refusal
from domwarden_blk import names, xen
from domwarden_blk.digest import require_same
from domwarden_blk.ends import present, target_of
from domwarden_blk.files import publish, remove, sync_directory, sync_file
from domwarden_blk.image import Format
from domwarden_blk.options import Options
from domwarden_blk.serving import stop_serving
from domwarden_blk.travel import travel_refusals

#: ``sun_path`` of a Unix socket, with its terminating zero (unix(7)).
_SOCKET_LIMIT_BYTES = 108
_MAP = "give this host other directories (drivers: {blk: {directories: {FROM: TO}}})"


class MirrorTargetJobs:
    """One disk that arrives under a name of its migration, and gets its own when it runs."""

    def __init__(self, domain: Domain, options: Options) -> None:
        self._domain = domain
        self._options = options
        self._image = names.on_host(options.source, domain.host)
        self._partial = names.partial(self._image, names.migration_of(domain))
        self._end = target_of(domain, self._partial, options.placement)

    async def test(self, _context: JobContext) -> dict[str, Any] | list[Refusal]:
        """Refuse a place that cannot take the disk; changes nothing."""
        refusals = await asyncio.to_thread(self._refusals)
        refusals += await travel_refusals(self._domain)
        return refusals or {"placement": str(self._options.placement)}

    async def prepare(self, _context: JobContext) -> dict[str, Any]:
        """Let the source write the target."""
        return {"address": dict(await present(self._end).offer())}

    async def sync(self, context: JobContext) -> None:
        """Compare, close the door, and make everything durable: after it the source may let go."""
        ticket = self._domain.ticket or {}
        if not ticket.get("mirrored"):
            raise PermanentError("the source never said that the copy is complete")
        if self._options.compares:
            here = await present(self._end).digests(context)
            require_same(here, ticket.get("digests", ()), int(ticket["size_bytes"]))
        await present(self._end).withdraw()
        await asyncio.to_thread(sync_file, self._partial)
        await asyncio.to_thread(sync_directory, self._partial.parent)

    async def recover(self, _context: JobContext) -> None:
        """Remove the target, whose name is this migration's own, and what a killed server left."""
        await stop_serving(self._partial)
        door = (*names.sockets(self._domain), names.export_port(self._domain))
        for left in (self._partial, *door):
            await asyncio.to_thread(remove, left)
        if xen.is_linked(self._domain, self._options):
            await xen.unlink(self._domain, _context)

    async def finish(self, _context: JobContext) -> None:
        """Give the image its name; the running process has it open and does not notice."""
        await asyncio.to_thread(publish, self._partial, self._image)
        if xen.is_linked(self._domain, self._options):
            await asyncio.to_thread(xen.point, self._domain, self._image)

    def _refusals(self) -> list[Refusal]:
        ticket = self._domain.ticket or {}  # none where the source refuses by itself
        checks = (self._in_the_way(ticket), self._directory(ticket), self._tools(), self._socket())
        return [refusal for refusal in checks if refusal is not None]

    def _in_the_way(self, ticket: dict[str, Any] | Any) -> Refusal | None:
        if not os.path.lexists(self._image):
            return None
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        status = self._image.stat() if self._image.exists() else self._image.lstat()
        if ticket.get("identity") == f"{boot}:{status.st_dev}:{status.st_ino}":
            return Refusal(
                "same-image",
                f"{self._image} is the very image the domain runs on",
                f"use placement: shared, or {_MAP}",
            )
        return Refusal(
            "target-exists",
            f"{self._image} is there already, and nothing is ever overwritten",
            f"move it away, or {_MAP}",
        )

    def _directory(self, ticket: dict[str, Any] | Any) -> Refusal | None:
        directory = self._image.parent
        if not directory.is_dir() or not os.access(directory, os.W_OK | os.X_OK):
            return Refusal(
                "no-directory",
                f"{directory} is no directory in which an image can be made",
                f"create it, or {_MAP}",
            )
        free = shutil.disk_usage(directory).free
        wanted = int(ticket.get("allocated_bytes", 0))
        if free < wanted:
            return Refusal(
                "no-space",
                f"{directory} has {free >> 20} MiB free, the disk holds {wanted >> 20} MiB",
                f"make room, or {_MAP}",
            )
        return None

    def _tools(self) -> Refusal | None:
        if self._options.format is Format.RAW or shutil.which("qemu-img"):
            return None
        return Refusal(
            "no-qemu-img",
            "a qcow2 image is made by qemu-img, which is not here",
            "install it (Debian: qemu-utils)",
        )

    def _socket(self) -> Refusal | None:
        path = max(names.sockets(self._domain), key=lambda socket: len(os.fsencode(socket)))
        if len(os.fsencode(path)) < _SOCKET_LIMIT_BYTES:
            return None
        return Refusal(
            "path-too-long",
            f"the socket {path} has a name longer than a socket may have",
            "use a shorter state directory",
        )

"""What a disk of an embedded machine does for its driver: mirroring and comparing."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from domwarden.contract import Machine
from domwarden_blk.disk import BLOCK_BYTES, Disk
from domwarden_blk.nbd_client import NbdClient, connected
from domwarden_blk.nbd_server import NbdServer

#: How long one call copies before it says how far it is.
_SLICE_SECONDS = 0.5


class DiskCommands:
    """The commands of one disk; each is short, so that every wait of the driver is bounded."""

    def __init__(self, device: str, disk: Disk) -> None:
        self._device = device
        self._disk = disk
        self._server: NbdServer | None = None

    def offer(self, machine: Machine) -> None:
        """Register all of them."""
        machine.add_command(self._device, "track", self.track)
        machine.add_command(self._device, "copy", self.copy)
        machine.add_command(self._device, "left", self.left)
        machine.add_command(self._device, "untrack", self.untrack)
        machine.add_command(self._device, "export", self.export)
        machine.add_command(self._device, "unexport", self.unexport)
        machine.add_close(self.close)

    async def track(self, _arguments: Mapping[str, Any]) -> dict[str, int]:
        """Begin a mirror: from now on every block is dirty until it was copied."""
        blocks = -(-self._disk.size_bytes // BLOCK_BYTES)
        self._disk.dirty = set(range(blocks))
        return {"blocks": blocks}

    async def copy(self, arguments: Mapping[str, Any]) -> dict[str, int]:
        """Copy dirty blocks to the export at ``address`` for a while; say how many are left.

        What was copied is durable there when this returns.
        """
        dirty = self._disk.dirty
        if dirty is None:
            return {"remaining": -1}
        if not dirty:
            return {"remaining": 0}
        end = time.monotonic() + _SLICE_SECONDS
        async with connected(arguments["address"], self._device) as client:
            while dirty and time.monotonic() < end:
                await self._copy_block(client, dirty)
            await client.flush()
        return {"remaining": len(dirty)}

    async def left(self, _arguments: Mapping[str, Any]) -> dict[str, int]:
        """Say how many blocks are dirty; -1 while nobody mirrors."""
        return {"remaining": -1 if self._disk.dirty is None else len(self._disk.dirty)}

    async def untrack(self, _arguments: Mapping[str, Any]) -> None:
        """End the mirror; idempotent."""
        self._disk.dirty = None

    async def export(self, arguments: Mapping[str, Any]) -> None:
        """Serve the image on the Unix socket ``path``; idempotent.

        ``image`` names the file: on a destination the driver knows it better than the machine.
        """
        if self._server is None:
            self._disk.use(Path(arguments["image"]))
            server = NbdServer(self._disk.file, self._device)
            await server.listen(Path(arguments["path"]))
            self._server = server

    async def unexport(self, _arguments: Mapping[str, Any]) -> None:
        """Stop serving; idempotent."""
        self.close()

    def close(self) -> None:
        """Stop serving, when the machine is gone or the mirror is done."""
        server, self._server = self._server, None
        if server is not None:
            server.close()

    async def _copy_block(self, client: NbdClient, dirty: set[int]) -> None:
        block = min(dirty)
        # The mark goes first: what the guest writes while we read marks the block again.
        dirty.discard(block)
        offset = block * BLOCK_BYTES
        length = min(BLOCK_BYTES, self._disk.size_bytes - offset)
        try:
            data = await asyncio.to_thread(os.pread, self._disk.file, length, offset)
            await client.write(offset, data)
        except BaseException:
            dirty.add(block)  # also when cancelled: it did not arrive
            raise

"""Both ends of a mirror on the embedded engine: the machines copy blocks through a real socket."""

from __future__ import annotations

from pathlib import Path

from domwarden.contract import Domain, EmbeddedControl, EngineError, JobContext, PermanentError
from domwarden_blk.digest import digests_of
from domwarden_blk.ends import SocketAddress
from domwarden_blk.names import served_socket

#: Blocks left over when a guest writes faster than they are copied go while it is suspended.
_FEW = 16
_PASSES = 400


class _End:
    def __init__(self, domain: Domain, control: EmbeddedControl, image: Path) -> None:
        self._image = image
        self._control = control
        self._device = domain.device
        self._socket = served_socket(domain)

    async def digests(self, context: JobContext) -> list[str]:
        """Read the disk through its machine."""
        address = await self._export()
        try:
            return await digests_of(address, self._device, context)
        finally:
            await self._control.command(self._device, "unexport")

    async def _export(self) -> SocketAddress:
        arguments = {"path": str(self._socket), "image": str(self._image)}
        await self._control.command(self._device, "export", arguments)
        return {"type": "unix", "path": str(self._socket)}


class EmbeddedSource(_End):
    """The end that has the disk."""

    async def copy(self, address: SocketAddress, context: JobContext) -> None:
        """Copy everything, then again what the guest wrote meanwhile, until little is left."""
        total = (await self._control.command(self._device, "track"))["blocks"]
        for _ in range(_PASSES):
            left = await self._copy(address)
            context.report("mirroring", done=total - left, total=total)
            if left <= _FEW:
                return
        raise PermanentError(f"the guest writes disk {self._device} faster than it can be copied")

    async def settle(self, address: SocketAddress, _context: JobContext) -> None:
        """Copy the rest."""
        for _ in range(_PASSES):
            if await self._copy(address) == 0:
                return
        raise PermanentError(f"disk {self._device} is written although its guest is suspended")

    async def settled(self) -> None:
        """See that nothing is left."""
        answer = await self._control.command(self._device, "left")
        if answer["remaining"] != 0:
            raise PermanentError(f"{answer['remaining']} blocks of {self._device} were not copied")

    async def undo(self) -> None:
        """Stop tracking writes."""
        try:
            await self._control.command(self._device, "untrack")
            await self._control.command(self._device, "unexport")
        except EngineError:
            pass  # no machine, nothing tracked

    async def _copy(self, address: SocketAddress) -> int:
        answer = await self._control.command(self._device, "copy", {"address": dict(address)})
        left = int(answer["remaining"])
        if left < 0:
            raise PermanentError(f"disk {self._device} is not being mirrored")
        return left


class EmbeddedTarget(_End):
    """The end that gets the disk."""

    async def offer(self) -> SocketAddress:
        """Serve the target."""
        return await self._export()

    async def withdraw(self) -> None:
        """Stop serving."""
        await self._control.command(self._device, "unexport")

"""The mirror's destination end on QEMU: the held process exports the target for writing."""

from __future__ import annotations

from domwarden.contract import Domain, JobContext, QemuControl
from domwarden_blk.digest import digests_of
from domwarden_blk.ends import SocketAddress
from domwarden_blk.qemu_exports import QemuExport


class QemuTarget:
    """One disk's writable export."""

    def __init__(self, domain: Domain, control: QemuControl) -> None:
        self._device = domain.device
        self._export = QemuExport(domain, control)

    async def offer(self) -> SocketAddress:
        """Serve the target."""
        await self._export.add(writable=True)
        return await self._export.door.address()

    async def digests(self, context: JobContext) -> list[str]:
        """Read the target back through the export the source wrote through."""
        await self._export.add(writable=True)
        door = self._export.door
        return await digests_of(await door.address(), self._device, context, door.own_way)

    async def withdraw(self) -> None:
        """See the export gone: QEMU refuses to run the guest beside another writer."""
        await self._export.remove()

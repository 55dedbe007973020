"""Exports of QEMU's own NBD server, of which a process has one for all its disks."""

from __future__ import annotations

import contextlib

from domwarden.contract import Domain, EngineError, OutcomeUnknownError, QemuControl
from domwarden_blk.qemu_door import Door
from domwarden_blk.qemu_events import wakeups, within

_POLL_SECONDS = 0.5
_GONE_SECONDS = 10.0


class QemuExport:
    """One disk's export, named after the device.

    https://www.qemu.org/docs/master/interop/qemu-storage-daemon-qmp-ref.html#block-device-exports
    """

    def __init__(self, domain: Domain, control: QemuControl) -> None:
        self._control = control
        self._device = domain.device
        self._export = f"{domain.device}-export"
        self.door = Door(domain, control)

    async def add(self, *, writable: bool) -> None:
        """Serve the device's format node; idempotent; raises EngineError."""
        if self._export in await self._exports():
            return
        # Another disk of the domain may have started the server: only the export's answer counts.
        async with self.door.opening() as arguments:
            with contextlib.suppress(EngineError):
                await self._control.execute("nbd-server-start", arguments)
        await self._control.execute(
            "block-export-add",
            {
                "type": "nbd",
                "id": self._export,
                "node-name": self._device,
                "name": self._device,
                "writable": writable,
            },
        )

    async def remove(self) -> None:
        """End the export and see it gone; idempotent."""
        name = f"blk/{self._export}"
        async with wakeups(self._control, name, "BLOCK_EXPORT_DELETED") as events:
            exports = await self._exports()
            if self._export in exports:
                await self._control.execute(
                    "block-export-del", {"id": self._export, "mode": "hard"}
                )
            async with within(_GONE_SECONDS, f"QEMU did not end {self._export}"):
                while self._export in (exports := await self._exports()):
                    await events.wait(_POLL_SECONDS)
        if not exports:
            # Refused when it does not run, or when another disk of the domain just stopped it.
            try:
                await self._control.execute("nbd-server-stop")
            except OutcomeUnknownError:
                raise
            except EngineError:
                pass
            await self.door.shut()

    async def _exports(self) -> set[str]:
        answer = await self._control.execute("query-block-exports")
        return {entry["id"] for entry in answer}

"""Taking a USB device out of a running QEMU, with putting it back.

QMP reference: https://www.qemu.org/docs/master/interop/qemu-qmp-ref.html.  A USB device needs no
consent of the guest: it is gone when QEMU says so, as if somebody had pulled it out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from domwarden.contract import (
    Domain,
    EngineError,
    JobContext,
    OutcomeUnknownError,
    PermanentError,
    QemuControl,
    TransientError,
)

PERIPHERALS = "/machine/peripheral"
#: QEMU's own work; no guest takes part in it.
DELETED_SECONDS = 10.0


class Hotplug:
    """One device of one domain, by its id in QEMU; every method may be repeated."""

    def __init__(self, domain: Domain, device_id: str) -> None:
        self._domain = domain
        self._id = device_id

    async def unplug(self, _context: JobContext) -> None:
        """Pull the device out and see it gone."""
        async with self._qemu().events("DEVICE_DELETED") as heard:
            if not await self.present():
                return
            await self._execute("device_del", {"id": self._id})
            try:
                async with asyncio.timeout(DELETED_SECONDS):
                    async for event in heard:
                        if event["data"].get("device") == self._id:
                            return
            except TimeoutError:
                message = f"QEMU did not take {self._id} out in {DELETED_SECONDS:g} s"
                raise TransientError(message) from None
            except OutcomeUnknownError as error:
                raise TransientError(error.message) from error

    async def plug(self, value: Mapping[str, Any], _context: JobContext) -> None:
        """Put the device in, unless it is there."""
        if not await self.present():
            await self._execute("device_add", value)

    async def present(self) -> bool:
        """Say whether QEMU has the device."""
        listed = await self._execute("qom-list", {"path": PERIPHERALS})
        return any(entry["name"] == self._id for entry in listed)

    async def _execute(self, command: str, arguments: Mapping[str, Any]) -> Any:
        try:
            return await self._qemu().execute(command, arguments)
        except OutcomeUnknownError as error:
            raise TransientError(error.message) from error
        except EngineError as error:
            raise PermanentError(error.message, hint=error.hint) from error

    def _qemu(self) -> QemuControl:
        control = self._domain.control(QemuControl)
        if control is None:
            raise PermanentError(f"{self._id} can be unplugged on QEMU only")
        return control

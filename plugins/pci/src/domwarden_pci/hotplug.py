"""Taking a device out of a running QEMU, with putting it back.

QMP reference: https://www.qemu.org/docs/master/interop/qemu-qmp-ref.html
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
#: How long recovery waits for a guest that may be letting go of the device just now.
LATE_SECONDS = 2.0


class Hotplug:
    """One device of one domain, by its id in QEMU; every method may be repeated."""

    def __init__(self, domain: Domain, device_id: str) -> None:
        self._domain = domain
        self._id = device_id

    async def unplug(self, timeout_seconds: float, context: JobContext) -> None:
        """Ask the guest to let go of the device and wait until QEMU has taken it out.

        Raises PermanentError when the guest refuses or takes longer.
        """
        async with self._qemu().events("DEVICE_DELETED", "DEVICE_UNPLUG_GUEST_ERROR") as heard:
            if not await self.present():
                return
            context.report(f"waiting for the guest to let go of {self._id}")
            await self._ask_to_delete()
            try:
                async with asyncio.timeout(timeout_seconds):
                    await self._until_deleted(heard)
            except TimeoutError:
                if await self.present():
                    raise PermanentError(
                        f"the guest did not let go of {self._id} in {timeout_seconds:g} s",
                        hint="see that its kernel runs and knows PCI hotplug, or shut it down",
                    ) from None

    async def plug(self, value: Mapping[str, Any], context: JobContext) -> None:
        """Put the device in, at the place that the live definition has for it."""
        if await self.present():
            return
        placed = dict(value)
        for entry in self._domain.definition.live.get("devices", ()):
            if entry.get("id") == self._id and "addr" in entry:
                placed["addr"] = entry["addr"]
        context.report(f"plugging in {self._id}")
        await self._execute("device_add", placed)

    async def put_back(self, value: Mapping[str, Any], context: JobContext) -> None:
        """Put the device back in after an unplugging that may have been interrupted anywhere.

        A guest that was asked cannot be told otherwise: it may let go a little later.
        """
        async with self._qemu().events("DEVICE_DELETED") as heard:
            if await self.present():
                try:
                    async with asyncio.timeout(LATE_SECONDS):
                        await self._until_deleted(heard)
                except TimeoutError:
                    return
        await self.plug(value, context)

    async def present(self) -> bool:
        """Say whether QEMU has the device."""
        listed = await self._execute("qom-list", {"path": PERIPHERALS})
        return any(entry["name"] == self._id for entry in listed)

    async def _ask_to_delete(self) -> None:
        try:
            await self._execute("device_del", {"id": self._id})
        except PermanentError as error:
            # qdev-monitor.c: a second request while the guest works on the first one.
            if "already in the process of unplug" not in error.message:
                raise

    async def _until_deleted(self, heard: Any) -> None:
        try:
            async for event in heard:
                if event["data"].get("device") != self._id:
                    continue
                if event["event"] == "DEVICE_DELETED":
                    return
                raise PermanentError(f"the guest refused to let go of {self._id}")
        except OutcomeUnknownError as error:
            raise TransientError(error.message) from error

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

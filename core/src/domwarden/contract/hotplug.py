"""Taking a device out of a running QEMU, with putting it back.

QMP reference: https://www.qemu.org/docs/master/interop/qemu-qmp-ref.html
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from domwarden.contract.control import QemuControl
from domwarden.contract.domain import Domain
from domwarden.contract.errors import (
    EngineError,
    OutcomeUnknownError,
    PermanentError,
    TransientError,
)

_PERIPHERALS = "/machine/peripheral"


class Hotplug:
    """One device of one domain on ``qemu``, by its ``id`` there; every method may be repeated.

    All raise TransientError when QEMU does not answer, PermanentError when it refuses or the domain
    runs on another engine.
    """

    def __init__(self, domain: Domain, device_id: str) -> None:
        self._domain = domain
        self._id = device_id

    async def present(self) -> bool:
        """Say whether QEMU has the device."""
        listed = await self._execute("qom-list", {"path": _PERIPHERALS})
        return any(entry["name"] == self._id for entry in listed)

    async def unplug(self, timeout_seconds: float) -> bool:
        """Ask for the device to be taken out; return whether it is gone in that time.

        Raises PermanentError also when the guest refuses to let go of it.
        """
        async with self._qemu().events("DEVICE_DELETED", "DEVICE_UNPLUG_GUEST_ERROR") as heard:
            if not await self.present():
                return True
            await self._ask_to_delete()
            return await self._gone(heard, timeout_seconds)

    async def left(self, timeout_seconds: float) -> bool:
        """Wait for an unplugging that was asked for before; return whether the device is gone."""
        async with self._qemu().events("DEVICE_DELETED") as heard:
            return not await self.present() or await self._gone(heard, timeout_seconds)

    async def plug(self, value: Mapping[str, Any]) -> None:
        """Put the device in, unless it is there; ``value`` is as in its ``QemuArgument``."""
        if not await self.present():
            await self._execute("device_add", value)

    async def _ask_to_delete(self) -> None:
        try:
            await self._execute("device_del", {"id": self._id})
        except PermanentError as error:
            # qdev-monitor.c: a second request while the guest works on the first one.
            if "already in the process of unplug" not in error.message:
                raise

    async def _gone(self, heard: AsyncIterator[Mapping[str, Any]], timeout_seconds: float) -> bool:
        import asyncio  # here, because `domwarden --help` must not pay for it

        try:
            async with asyncio.timeout(timeout_seconds):
                async for event in heard:
                    if event["data"].get("device") != self._id:
                        continue
                    if event["event"] == "DEVICE_DELETED":
                        return True
                    raise PermanentError(f"the guest refused to let go of {self._id}")
        except TimeoutError:
            pass  # it may have left without a word: look
        except OutcomeUnknownError as error:
            raise TransientError(error.message) from error
        return not await self.present()

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

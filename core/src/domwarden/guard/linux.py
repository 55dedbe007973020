"""The driver ``linux``: the machine's own watchdog behind /dev/watchdog.

Linux, Documentation/watchdog/watchdog-api.rst and include/uapi/linux/watchdog.h.
"""

from __future__ import annotations

import enum
import errno
import fcntl
import logging
import os
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import voluptuous as vol

from domwarden.contract import DomwardenError, HostWatchdog, WatchdogAbsentError, path

logger = logging.getLogger(__name__)

DEVICE = "/dev/watchdog"


class Request(enum.IntEnum):
    """Requests of the device, ``_IOR('W', N, ...)`` and ``_IOWR``."""

    GETSUPPORT = 0x80285700
    GETBOOTSTATUS = 0x80045702
    SETOPTIONS = 0x80045704
    KEEPALIVE = 0x80045705
    SETTIMEOUT = 0xC0045706
    GETTIMEOUT = 0x80045707


#: ``struct watchdog_info { u32 options; u32 firmware_version; u8 identity[32]; }``
WATCHDOG_INFO = struct.Struct("<II32s")
_INT = struct.Struct("<i")
WDIOF_CARDRESET = 0x0020
WDIOS_DISABLECARD = 0x0001

_ABSENT = {errno.ENOENT, errno.ENODEV, errno.ENXIO, errno.ENOTDIR}
_UNABLE = {errno.ENOTTY, errno.EOPNOTSUPP, errno.EINVAL}

#: ``fcntl.ioctl``, which fills the buffer.
Ioctl = Callable[[int, int, bytearray], int]


def _ioctl(descriptor: int, request: int, argument: bytearray) -> int:
    answer: int = fcntl.ioctl(descriptor, request, argument, True)
    return answer


class LinuxWatchdog(HostWatchdog):
    """Any watchdog that Linux has a driver for; opening it arms it."""

    SCHEMA: ClassVar[Mapping[Any, Any]] = {
        vol.Optional("device", default=DEVICE, description="Its device file."): path
    }

    def __init__(
        self, options: Mapping[str, Any], state_directory: Path, ioctl: Ioctl = _ioctl
    ) -> None:
        super().__init__(options, state_directory)
        self._device = options.get("device", DEVICE)
        self._ioctl = ioctl
        self._descriptor = -1

    def arm(self, timeout_seconds: int) -> int:
        """Open the device, which starts it, and ask for a time-out; return what it really is."""
        if self._descriptor < 0:
            self._open()
        granted = self._set(timeout_seconds)
        self.kick()
        return granted

    def kick(self) -> None:
        """Kick by WDIOC_KEEPALIVE."""
        self._call(Request.KEEPALIVE, bytearray(4))

    def hand_over(self, timeout_seconds: int) -> None:
        """Close it as the ``watchdog`` daemon does, for the next one to open.

        Where the kernel was told never to stop it (nowayout) it counts on, for that long.
        """
        self._set(timeout_seconds)
        self.kick()
        self._close()

    def disarm(self) -> None:
        """Stop it; raises DomwardenError where the kernel was told never to (nowayout)."""
        try:
            self._call(Request.SETOPTIONS, bytearray(_INT.pack(WDIOS_DISABLECARD)))
        except DomwardenError as error:
            if _errno(error) not in _UNABLE:
                hint = "it counts on: kick it, or let the machine be reset"
                raise DomwardenError(f"cannot be stopped: {error.message}", hint=hint) from error
        finally:
            self._close()

    def _open(self) -> None:
        try:
            self._descriptor = os.open(self._device, os.O_WRONLY | os.O_CLOEXEC)
        except OSError as error:
            what = f"{self._device}: {error.strerror}"
            if error.errno in _ABSENT:
                raise WatchdogAbsentError(what, hint="load its driver, or softdog") from error
            busy = error.errno == errno.EBUSY
            hint = "another program holds it; systemd does with RuntimeWatchdogSec" if busy else ""
            raise DomwardenError(what, hint=hint) from error
        self._introduce()

    def _introduce(self) -> None:
        support = bytearray(WATCHDOG_INFO.size)
        status = bytearray(4)
        try:
            self._call(Request.GETSUPPORT, support)
            self._call(Request.GETBOOTSTATUS, status)
        except DomwardenError:
            return  # it need not tell who it is
        identity = WATCHDOG_INFO.unpack(support)[2].split(b"\0")[0].decode(errors="replace")
        logger.info("%s is %s", self._device, identity)
        if identity == "xen_wdt":
            logger.warning(
                "%s is Xen's timer too, by the kernel's driver: load the driver of a card of this"
                " machine, or softdog, to have a second one",
                self._device,
            )
        if _INT.unpack(status)[0] & WDIOF_CARDRESET:
            logger.warning("%s: it was this watchdog that reset the machine", self._device)

    def _set(self, timeout_seconds: int) -> int:
        """Ask for a time-out; return the one in force, which may be another."""
        value = bytearray(_INT.pack(timeout_seconds))
        try:
            self._call(Request.SETTIMEOUT, value)
            return int(_INT.unpack(value)[0])
        except DomwardenError as error:
            if _errno(error) not in _UNABLE:
                raise
        # Linux refuses what is out of the driver's range; what was set before stays in force.
        value = bytearray(4)
        self._call(Request.GETTIMEOUT, value)
        granted = int(_INT.unpack(value)[0])
        logger.warning("%s: %d s are not granted, it stays at %d s", self._device,
                       timeout_seconds, granted)  # fmt: skip
        return granted

    def _call(self, request: Request, argument: bytearray) -> None:
        if self._descriptor < 0:
            raise DomwardenError(f"{self._device} is not open")
        try:
            self._ioctl(self._descriptor, request, argument)
        except OSError as error:
            raise DomwardenError(f"{self._device}: {request.name}: {error.strerror}") from error

    def _close(self) -> None:
        """Close it with the magic letter, without which a driver counts on."""
        try:
            os.write(self._descriptor, b"V")
        except OSError as error:
            raise DomwardenError(f"{self._device}: write: {error.strerror}") from error
        finally:
            os.close(self._descriptor)
            self._descriptor = -1


def _errno(error: DomwardenError) -> int | None:
    return getattr(error.__cause__, "errno", None)

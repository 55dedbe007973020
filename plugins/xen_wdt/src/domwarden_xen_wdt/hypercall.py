"""Xen's domain watchdog, called from a program of the domain that it guards.

The call goes through the kernel's ``/dev/xen/privcmd``: ``IOCTL_PRIVCMD_HYPERCALL`` with
``struct { uint64_t op; uint64_t arg[5]; }`` (Linux, include/uapi/xen/privcmd.h), operation 29
(``sched_op``), command 6 (``SCHEDOP_watchdog``; Xen, public/sched.h).
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from domwarden.contract import SCHED_OP, SCHED_WATCHDOG, SCHEDOP_WATCHDOG
from domwarden_xen_wdt.errors import HypercallError, NoSlot, NotPermitted, NoXen, UnknownTimer
from domwarden_xen_wdt.page import Page

PRIVCMD = Path("/dev/xen/privcmd")
#: ``_IOC(_IOC_NONE, 'P', 0, sizeof(struct privcmd_hypercall))``
IOCTL_PRIVCMD_HYPERCALL = 0x305000
PRIVCMD_HYPERCALL = struct.Struct("<6Q")

#: The largest time-out: 32 bits of seconds.
MOST_SECONDS = 2**32 - 1

_NAMED: dict[int, type[HypercallError]] = {
    errno.ENOSPC: NoSlot,
    errno.EINVAL: UnknownTimer,
    errno.EPERM: NotPermitted,
    errno.EACCES: NotPermitted,
}

#: ``fcntl.ioctl``: descriptor, request, a buffer; returns what the hypercall returned.
Ioctl = Callable[[int, int, bytes], int]


def _ioctl(descriptor: int, request: int, argument: bytes) -> int:
    # A mutable buffer: for a constant one fcntl.ioctl returns the bytes and not the answer.
    answer: int = fcntl.ioctl(descriptor, request, bytearray(argument), True)
    return answer


class Hypercall:
    """The two timers of the domain in which this process runs; no timer is stopped by closing it.

    ``ioctl`` stands for :func:`fcntl.ioctl`.  Every method raises NotPermitted, or HypercallError
    for what Xen does not document.
    """

    def __init__(self, device: Path = PRIVCMD, ioctl: Ioctl = _ioctl) -> None:
        try:
            self._descriptor = os.open(device, os.O_RDWR | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise NoXen(device) from error
        except OSError as error:
            raise _named(error, f"open {device}") from error
        self._ioctl = ioctl
        self._page = Page()

    def arm(self, timeout_seconds: int) -> int:
        """Start a new timer; return its id, 1 or 2. Raises NoSlot, ValueError."""
        return self.call(0, timeout_seconds)

    def kick(self, timer: int, timeout_seconds: int) -> None:
        """Let a timer count from now; raises UnknownTimer, ValueError."""
        _check(timer, "timer", 1)
        _check(timeout_seconds, "timeout_seconds", 1)
        self.call(timer, timeout_seconds)

    def disarm(self, timer: int) -> None:
        """Stop a timer and free its id; raises UnknownTimer, ValueError."""
        _check(timer, "timer", 1)
        self.call(timer, 0)

    def call(self, timer: int, timeout_seconds: int) -> int:
        """Make the plain hypercall, 0 as a timer included; return what it returned.

        A new timer of no seconds would expire at once: that is a ValueError.
        """
        _check(timer, "timer", 0)
        _check(timeout_seconds, "timeout_seconds", 0)
        if timer == 0 and timeout_seconds == 0:
            raise ValueError("a new timer of 0 seconds would expire at once")
        address = self._page.write(SCHED_WATCHDOG.pack(timer, timeout_seconds))
        argument = PRIVCMD_HYPERCALL.pack(SCHED_OP, SCHEDOP_WATCHDOG, address, 0, 0, 0)
        try:
            return self._ioctl(self._descriptor, IOCTL_PRIVCMD_HYPERCALL, argument)
        except OSError as error:
            what = f"SCHEDOP_watchdog(id={timer}, timeout={timeout_seconds})"
            raise _named(error, what) from error

    def close(self) -> None:
        """Let go of the device; armed timers count on."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
            self._page.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _check(value: int, name: str, least: int) -> None:
    if not least <= value <= MOST_SECONDS:
        raise ValueError(f"{name} must be from {least} to {MOST_SECONDS}, not {value}")


def _named(error: OSError, what: str) -> HypercallError:
    number = error.errno or 0
    return _NAMED.get(number, HypercallError)(what, number)

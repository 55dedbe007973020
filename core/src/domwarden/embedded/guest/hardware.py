"""What the guest's watchdog core needs from the driver of a piece of hardware."""

from __future__ import annotations

import enum
from typing import Protocol

from domwarden.embedded.guest.layout import WatchdogState
from domwarden.embedded.machine import EmbeddedMachine

EBUSY = 16
ENODEV = 19
EINVAL = 22


class Option(enum.IntFlag):
    """WDIOF_* of Linux' include/uapi/linux/watchdog.h."""

    CARDRESET = 0x0020
    SETTIMEOUT = 0x0080
    MAGICCLOSE = 0x0100
    PRETIMEOUT = 0x0200
    KEEPALIVEPING = 0x8000


class Hardware(Protocol):
    """A stateless driver: what it knows is in the WatchdogState, which the core keeps in memory."""

    identity: str
    options: Option
    default_seconds: int

    def probe(self, machine: EmbeddedMachine, state: WatchdogState) -> bool:
        """Look for the hardware and make it ready; fills in unit, base and bootstatus."""

    def fit(self, seconds: int) -> int:
        """Return the time-out that would really be used, or -EINVAL."""

    def start(self, machine: EmbeddedMachine, state: WatchdogState) -> int:
        """Arm it with the state's time-out; returns 0 or -errno."""

    def ping(self, machine: EmbeddedMachine, state: WatchdogState) -> int:
        """Kick it; returns 0 or -errno."""

    def stop(self, machine: EmbeddedMachine, state: WatchdogState) -> int:
        """Disarm it; returns 0 or -errno."""

    def program(self, machine: EmbeddedMachine, state: WatchdogState) -> None:
        """Tell it of new time-outs."""

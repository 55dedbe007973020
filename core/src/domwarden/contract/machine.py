"""The bus of an embedded machine, as a device that is attached to it sees it."""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from domwarden.contract.watchdog import Action, Reading, TimerClock


class BusDevice(Protocol):
    """Registers at offsets; ``size`` is 1, 2 or 4 bytes, values are little-endian unsigned."""

    def read(self, offset: int, size: int) -> int:
        """Return the register's value; all ones where there is none."""

    def write(self, offset: int, size: int, value: int) -> None:
        """Write the register; writes where there is none are dropped."""


class Timer(Protocol):
    """One timer of a machine; the deadline is in ns of the clock it was made with."""

    @property
    def deadline_ns(self) -> int | None:
        """When it fires, or None while it is not set."""

    def set(self, deadline_ns: int) -> None:
        """(Re-)arm it; a deadline in the past fires as soon as the machine is advanced."""

    def cancel(self) -> None:
        """Disarm it; idempotent."""


class ResetKind(enum.StrEnum):
    """What made the machine start over."""

    UNKNOWN = "unknown"
    POWER_ON = "power-on"
    GUEST = "guest"
    OPERATOR = "operator"
    WATCHDOG = "watchdog"


class Machine(Protocol):
    """What an embedded machine offers to devices at ``attach(machine)``.

    A device keeps all its state in what it registers with ``add_state``: a migrated machine is
    rebuilt from these bytes in another process.
    """

    @property
    def name(self) -> str:
        """The domain's name."""

    def clock_ns(self, clock: TimerClock = TimerClock.GUEST) -> int:
        """Return the time: GUEST stops while the machine is stopped.

        HOST runs on while an operator paused it; only a copy that a move has suspended, or that
        still waits for its activation, stands still on both.
        """

    def timer(self, fire: Callable[[], None], clock: TimerClock = TimerClock.GUEST) -> Timer:
        """Make a timer that calls ``fire`` at its deadline."""

    def map_ports(self, base: int, size: int, device: BusDevice) -> None:
        """Put registers on the I/O port bus; raises ValueError on an overlap."""

    def map_mmio(self, base: int, size: int, device: BusDevice) -> None:
        """Put registers on the memory bus; raises ValueError on an overlap."""

    def unmap_mmio(self, base: int) -> None:
        """Take away what was mapped at ``base`` (a BAR that moves); idempotent."""

    def map_pci(self, slot: int, config: BusDevice) -> None:
        """Put a configuration space of 256 bytes into a PCI slot (1–31) of bus 0."""

    def add_hypercall(self, number: int, handler: Callable[[int, bytes], int]) -> None:
        """Answer a hypercall: ``handler(command, argument bytes)`` returns a value or -errno."""

    def add_state(
        self, section: str, save: Callable[[], bytes], load: Callable[[bytes], None]
    ) -> None:
        """Take part in save, restore and migration; sections carry their own version inside.

        Names are unique in a machine: begin them with the device's id.  ``load`` raises ValueError
        for bytes it cannot take, and the move is then given up before anything depends on it.
        """

    def add_command(
        self, device: str, command: str, handler: Callable[[Mapping[str, Any]], Awaitable[Any]]
    ) -> None:
        """Offer a command of the device (its YAML id) to its jobs (``EmbeddedControl.command``)."""

    def add_reset(self, reset: Callable[[ResetKind], None]) -> None:
        """Be told when the machine is reset, before the guest boots again."""

    def add_close(self, close: Callable[[], None]) -> None:
        """Be told when the machine is gone: let go of what lies outside of it (files, sockets)."""

    def add_reading(self, read: Callable[[], Reading]) -> None:
        """Offer the watchdog's timer to ``Engine.read_watchdog``."""

    def expire(self, detail: str, action: Action | None = None) -> None:
        """Report that the watchdog fired; the machine performs the action (or the domain's)."""

    def notify_guest(self, signal: str) -> None:
        """Raise a named interrupt in the guest (``pretimeout``, ``nmi``); a hung one ignores it."""

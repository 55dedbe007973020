"""The guest's driver of Intel's 6300ESB watchdog card, by its registers.

Intel 6300ESB I/O Controller Hub datasheet, chapter "Watchdog Timer"; the order of accesses is that
of Linux' driver, so that what works here works there.
"""

from __future__ import annotations

from domwarden.embedded.guest.hardware import EBUSY, EINVAL, Option
from domwarden.embedded.guest.layout import WatchdogState
from domwarden.embedded.machine import EmbeddedMachine
from domwarden.embedded.pci import CONFIG_ADDRESS, CONFIG_DATA, ENABLE

DEVICE_ID = 0x25AB_8086
FIRST_BASE = 0xFEBF_0000

PCI_COMMAND = 0x04
PCI_COMMAND_MEMORY = 0x02
BAR0 = 0x10
CONFIG = 0x60
LOCK = 0x68
LOCK_ENABLE = 0x02
LOCK_LOCK = 0x01

TIMER1 = 0x00
TIMER2 = 0x04
RELOAD = 0x0C
RELOAD_KICK = 0x100
RELOAD_TIMED_OUT = 0x200


class I6300esbDriver:
    """Two stages of ``t << 9`` counts each, together 1.0066 t."""

    identity = "i6300ESB timer"
    options = Option.SETTIMEOUT | Option.KEEPALIVEPING | Option.MAGICCLOSE | Option.PRETIMEOUT
    default_seconds = 30

    def probe(self, machine: EmbeddedMachine, state: WatchdogState) -> bool:
        """Find the card, place its registers, read and clear its flag of a reboot."""
        slot = next((s for s in range(1, 32) if self._config(machine, s, 0, 4) == DEVICE_ID), 0)
        if not slot:
            return False
        state.unit = slot
        state.base = self._config(machine, slot, BAR0, 4) & ~0xF
        if not state.base:
            state.base = FIRST_BASE + slot * 0x1000
            self._set_config(machine, slot, BAR0, 4, state.base)
        command = self._config(machine, slot, PCI_COMMAND, 2)
        self._set_config(machine, slot, PCI_COMMAND, 2, command | PCI_COMMAND_MEMORY)
        self._set_config(machine, slot, CONFIG, 2, 0x0003)
        self._set_config(machine, slot, LOCK, 1, 0)
        self._unlock(machine, state)
        if machine.mmio.read(state.base + RELOAD, 2) & RELOAD_TIMED_OUT:
            state.bootstatus |= Option.CARDRESET
        self._unlock(machine, state)
        machine.mmio.write(state.base + RELOAD, 2, RELOAD_TIMED_OUT | RELOAD_KICK)
        return True

    def fit(self, seconds: int) -> int:
        """1 to 2046 seconds."""
        return seconds if 1 <= seconds <= 2046 else -EINVAL

    def start(self, machine: EmbeddedMachine, state: WatchdogState) -> int:
        """Load the timers, then enable, and lock with nowayout."""
        self.program(machine, state)
        lock = LOCK_ENABLE | (LOCK_LOCK if state.nowayout else 0)
        self._set_config(machine, state.unit, LOCK, 1, lock)
        return 0

    def ping(self, machine: EmbeddedMachine, state: WatchdogState) -> int:
        """Reload."""
        self._unlock(machine, state)
        machine.mmio.write(state.base + RELOAD, 2, RELOAD_KICK)
        return 0

    def stop(self, machine: EmbeddedMachine, state: WatchdogState) -> int:
        """Disable; a locked card stays enabled: -EBUSY."""
        self.ping(machine, state)
        self._set_config(machine, state.unit, LOCK, 1, 0)
        still = self._config(machine, state.unit, LOCK, 1) & LOCK_ENABLE
        return -EBUSY if still else 0

    def program(self, machine: EmbeddedMachine, state: WatchdogState) -> None:
        """Write both stages; they count from the reload."""
        for register in (TIMER1, TIMER2):
            self._unlock(machine, state)
            machine.mmio.write(state.base + register, 4, state.timeout_seconds << 9)
        self.ping(machine, state)

    def _unlock(self, machine: EmbeddedMachine, state: WatchdogState) -> None:
        machine.mmio.write(state.base + RELOAD, 1, 0x80)
        machine.mmio.write(state.base + RELOAD, 1, 0x86)

    def _config(self, machine: EmbeddedMachine, slot: int, offset: int, size: int) -> int:
        machine.ports.write(CONFIG_ADDRESS, 4, ENABLE | slot << 11 | offset & 0xFC)
        return machine.ports.read(CONFIG_DATA + (offset & 3), size)

    def _set_config(
        self, machine: EmbeddedMachine, slot: int, offset: int, size: int, value: int
    ) -> None:
        machine.ports.write(CONFIG_ADDRESS, 4, ENABLE | slot << 11 | offset & 0xFC)
        machine.ports.write(CONFIG_DATA + (offset & 3), size, value)

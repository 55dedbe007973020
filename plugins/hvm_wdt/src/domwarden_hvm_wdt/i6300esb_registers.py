"""The registers through which a guest sees the i6300esb card."""

from __future__ import annotations

from domwarden_hvm_wdt.access import read_pieces, write_pieces
from domwarden_hvm_wdt.pci_config import ConfigSpace
from domwarden_hvm_wdt.two_stage import PRELOAD_MASK, TwoStageTimer

BAR_BYTES = 0x10

# Memory registers
TIMER1 = 0x00
TIMER2 = 0x04
RELOAD = 0x0C
UNLOCK_FIRST = 0x80
UNLOCK_SECOND = 0x86
RELOAD_KICK = 0x0100
#: Bit 9 by the datasheet; Linux uses bit 12, and QEMU's card answers both.
REBOOT_FLAG = 0x1200

# Configuration registers: these widths are registers, any other access is plain storage (QEMU).
CONFIG = 0x60
CONFIG_REBOOT_OFF = 0x20
CONFIG_FAST_CLOCK = 0x04
CONFIG_INTERRUPT = 0x11
LOCK = 0x68
LOCK_LOCK = 0x01
LOCK_ENABLE = 0x02
LOCK_FREE_RUN = 0x04


class I6300esbMemory:
    """The 16 bytes behind BAR 0.

    The width matters (QEMU's wdt_i6300esb.c): the unlock sequence is accepted in any, a kick and
    the flag only in 16 bits, preloads only in 32.  A byte write never consumes the unlock.
    """

    def __init__(self, timer: TwoStageTimer) -> None:
        self._timer = timer

    def read(self, offset: int, size: int) -> int:
        """Read: only the previous-reboot flag can be seen, with 16 bits."""
        return read_pieces(self._read, offset, size)

    def write(self, offset: int, size: int, value: int) -> None:
        """Write 1, 2 or 4 bytes."""
        write_pieces(self._write, offset, size, value)

    def _read(self, offset: int, size: int) -> int:
        flagged = self._timer.previous_reboot and (offset, size) == (RELOAD, 2)
        return REBOOT_FLAG if flagged else 0

    def _write(self, offset: int, size: int, value: int) -> None:
        state = self._timer.state
        if offset == RELOAD and value == UNLOCK_FIRST:
            state.unlock = 1
        elif offset == RELOAD and value == UNLOCK_SECOND and state.unlock == 1:
            state.unlock = 2
        elif state.unlock == 2 and size > 1:
            state.unlock = 0
            if (offset, size) == (RELOAD, 2):
                if value & RELOAD_KICK:
                    self._timer.kick()
                if value & REBOOT_FLAG:
                    self._timer.previous_reboot = False
            elif (offset, size) == (TIMER1, 4):
                state.timer1 = value & PRELOAD_MASK
            elif (offset, size) == (TIMER2, 4):
                state.timer2 = value & PRELOAD_MASK


class I6300esbConfig(ConfigSpace):
    """8086:25ab, class 0880, with the card's own two registers."""

    def __init__(self, timer: TwoStageTimer) -> None:
        super().__init__(vendor=0x8086, device=0x25AB, class_code=0x0880, bar_bytes=BAR_BYTES)
        self._timer = timer

    def read_register(self, offset: int, size: int) -> int:
        """Read one aligned register."""
        state = self._timer.state
        if (offset, size) == (CONFIG, 2):
            return (
                (0 if state.reboot_enabled else CONFIG_REBOOT_OFF)
                | (CONFIG_FAST_CLOCK if state.fast_clock else 0)
                | state.interrupt_type
            )
        if (offset, size) == (LOCK, 1):
            return (
                (LOCK_FREE_RUN if state.free_run else 0)
                | (LOCK_LOCK if state.locked else 0)
                | (LOCK_ENABLE if state.enabled else 0)
            )
        return super().read_register(offset, size)

    def write_register(self, offset: int, size: int, value: int) -> None:
        """Write one aligned register."""
        state = self._timer.state
        if (offset, size) == (CONFIG, 2):
            state.reboot_enabled = not value & CONFIG_REBOOT_OFF
            state.fast_clock = bool(value & CONFIG_FAST_CLOCK)
            state.interrupt_type = value & CONFIG_INTERRUPT
        elif (offset, size) == (LOCK, 1):
            if not state.locked:
                state.locked = bool(value & LOCK_LOCK)
                state.free_run = bool(value & LOCK_FREE_RUN)
                self._timer.enable(enabled=bool(value & LOCK_ENABLE))
        else:
            super().write_register(offset, size, value)

"""A watchdog card's timer, read out of the file that ``xen-save-devices-state`` writes.

The file (QEMU's migration/savevm.c) is ``QEVM``, a version, then one section a device: 0x04, its
number, a name with its length, instance, version, fields; big-endian.  Fields have no length of
their own, so the few sections that matter are found by their headers and judged by their values.
"""

from __future__ import annotations

import dataclasses
import re
import struct

from domwarden.contract import Armed, Reading

MAGIC = b"QEVM\0\0\0\3"
NS = 1_000_000_000
TICK_NS = 30

#: The PCI device, then both stages (hw/watchdog/wdt_i6300esb.c); the footer repeats the number.
_I6300ESB = re.compile(
    rb"\x04(.{4}).(?:[0-9a-f.:/]*/)?i6300esb_wdt.{4}.{4}"
    rb"\0\0\0\x02\x86\x80\xab\x25.{252}.{16}(.{52})\x7e\1",
    re.DOTALL,
)
_I6300ESB_FIELDS = struct.Struct(">6iqII3i")
#: One timer: hw/watchdog/wdt_ib700.c.
_IB700 = re.compile(rb"\x04(.{4}).(?:[0-9a-f.:/]*/)?ib700_wdt.{4}\0\0\0\0(.{8})\x7e\1", re.DOTALL)
#: Three int64, of which the third is the virtual clock of the stopped machine: softmmu/cpus.c.
_TIMER = re.compile(rb"\x04(.{4})\x05timer\0\0\0\0\0\0\0\x02.{16}(.{8})\x7e\1", re.DOTALL)


@dataclasses.dataclass(frozen=True)
class I6300esbState:
    """What QEMU's i6300esb holds; ``deadline_ns`` is in virtual time, None while nothing counts."""

    reboot_enabled: bool
    fast_clock: bool
    free_run: bool
    locked: bool
    enabled: bool
    deadline_ns: int | None
    timer1: int
    timer2: int
    stage: int
    previous_reboot: bool

    def stage_ns(self, stage: int) -> int:
        """Return how long a stage lasts: counts of 2^15 (1 kHz) or 2^5 (1 MHz) ticks of 30 ns."""
        return ((self.timer1, self.timer2)[stage - 1] << (5 if self.fast_clock else 15)) * TICK_NS


def i6300esb(data: bytes) -> I6300esbState | None:
    """Return the i6300esb's state; None where there is none, or nothing that must be one."""
    found = []
    for match in _I6300ESB.finditer(data):
        (reboot, scale, _interrupt, free_run, locked, enabled, deadline, timer1, timer2, stage,
         unlock, flag) = _I6300ESB_FIELDS.unpack(match[2])  # fmt: skip
        sane = (
            {reboot, scale, free_run, locked, enabled, flag} <= {0, 1}
            and stage in (1, 2)
            and unlock in (0, 1, 2)
            and max(timer1, timer2) <= 0xFFFFF
            and deadline >= -1
        )
        if sane:
            found.append(
                I6300esbState(
                    reboot_enabled=bool(reboot),
                    fast_clock=bool(scale),
                    free_run=bool(free_run),
                    locked=bool(locked),
                    enabled=bool(enabled),
                    deadline_ns=None if deadline == -1 else deadline,
                    timer1=timer1,
                    timer2=timer2,
                    stage=stage,
                    previous_reboot=bool(flag),
                )
            )
    # A guest could imitate a section in a device's buffer: two are as good as none.
    return found[0] if len(found) == 1 else None


def virtual_clock_ns(data: bytes) -> int | None:
    """Return the virtual clock at the moment of the file; None where it is not told.

    Under ``-icount`` the clock counts instructions and stands in a subsection that is not read.
    """
    found = _TIMER.findall(data)
    if len(found) != 1:
        return None
    clock_ns = int.from_bytes(found[0][1], "big", signed=True)
    return clock_ns if clock_ns >= 0 else None


def read_watchdog(data: bytes) -> Reading:
    """Return the timer of the domain's card; ``unknown`` for anything but one card's state.

    A card whose reboot the guest has disabled guards nothing and counts as disarmed.
    """
    if not data.startswith(MAGIC):
        return Reading()
    card, simple = i6300esb(data), _IB700.findall(data)
    now_ns = virtual_clock_ns(data)
    if card is not None and not simple:
        return _read_i6300esb(card, now_ns)
    if card is None and len(simple) == 1:
        return _read_ib700(int.from_bytes(simple[0][1], "big", signed=True), now_ns)
    return Reading()


def _read_i6300esb(card: I6300esbState, now_ns: int | None) -> Reading:
    if card.deadline_ns is None or not card.reboot_enabled:
        return Reading(armed=Armed.DISARMED)
    whole_ns = card.stage_ns(1) + card.stage_ns(2)
    left_ns = last_kick_ns = None
    if now_ns is not None:
        left_ns = card.deadline_ns - now_ns + (card.stage_ns(2) if card.stage == 1 else 0)
        last_kick_ns = whole_ns - left_ns
    return Reading(
        armed=Armed.ARMED,
        time_left_seconds=_seconds(left_ns),
        timeout_seconds=whole_ns / NS,
        # Preloads that were changed since the last kick tell nothing of it.
        last_kick_seconds_ago=_seconds(last_kick_ns) if (last_kick_ns or 0) >= 0 else None,
    )


def _read_ib700(deadline_ns: int, now_ns: int | None) -> Reading:
    if deadline_ns < -1:
        return Reading()
    if deadline_ns == -1:
        return Reading(armed=Armed.DISARMED)
    left_ns = None if now_ns is None else deadline_ns - now_ns
    return Reading(armed=Armed.ARMED, time_left_seconds=_seconds(left_ns))


def _seconds(ns: int | None) -> float | None:
    return None if ns is None else max(0, ns) / NS

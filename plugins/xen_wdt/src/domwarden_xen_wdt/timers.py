"""Hypercall 29 on an embedded machine: SCHEDOP_watchdog, and the operations added to it."""

from __future__ import annotations

import errno
from collections.abc import Callable

from domwarden.contract import (
    SCHED_OP,
    SCHED_WATCHDOG,
    SCHEDOP_WATCHDOG,
    Action,
    Armed,
    Machine,
    Reading,
    ResetKind,
    TimerClock,
    WatchdogAction,
    WatchdogExtension,
)
from domwarden_xen_wdt.slot import NS, Slot

#: Xen's NR_DOMAIN_WATCHDOG_TIMERS.
TIMERS = 2
#: The version of the extended operations, and of the saved state.
EXTENSION_VERSION = 1
STATE_VERSION = 1

_ACTIONS: dict[int, Action | None] = {
    WatchdogAction.DOMAIN: None,
    WatchdogAction.RESET: Action.RESET,
    WatchdogAction.POWEROFF: Action.POWEROFF,
    WatchdogAction.PAUSE: Action.PAUSE,
    WatchdogAction.DUMP: Action.DUMP,
    WatchdogAction.NMI: Action.NMI,
    WatchdogAction.NOTIFY: Action.NOTIFY,
}


class DomainTimers:
    """The two timers of one domain; every answer is that of Xen 4.17 (``xen/common/sched``)."""

    def __init__(self, machine: Machine, clock: TimerClock) -> None:
        self._machine = machine
        self._slots = [
            Slot(machine, clock, lambda number=number: self._expire(number))  # type: ignore[misc]  # mypy cannot type a lambda's default
            for number in range(TIMERS)
        ]
        self._was_reset = False
        self._extended: dict[int, Callable[[Slot, int], int]] = {
            WatchdogExtension.TIME_LEFT: self._time_left,
            WatchdogExtension.TIMEOUT: lambda slot, value: slot.timeout_seconds,
            WatchdogExtension.SET_PRETIMEOUT: self._set_pretimeout,
            WatchdogExtension.SET_ACTION: self._set_action,
        }

    def attach(self, device: str) -> None:
        """Join the machine under the device's YAML id."""
        self._machine.add_hypercall(SCHED_OP, self.call)
        self._machine.add_state(f"{device}/xen_wdt", self.save, self.load)
        self._machine.add_reset(self.reset)
        self._machine.add_reading(self.read)

    def call(self, command: int, argument: bytes) -> int:
        """Carry out one hypercall; returns a value or -errno."""
        if command == WatchdogExtension.VERSION:
            return EXTENSION_VERSION
        if command == WatchdogExtension.WAS_RESET:
            return int(self._was_reset)
        extended = self._extended.get(command)
        if command != SCHEDOP_WATCHDOG and extended is None:
            return -errno.ENOSYS
        if len(argument) < SCHED_WATCHDOG.size:  # the pointer, or the end of the memory
            return -errno.EFAULT
        number, value = SCHED_WATCHDOG.unpack_from(argument)
        if extended is None:
            return self._watchdog(number, value)
        slot = self._slot(number)
        return -errno.EINVAL if slot is None else extended(slot, value)

    def reset(self, kind: ResetKind) -> None:
        """Start over without timers, as a rebuilt domain does; remember whose fault it was."""
        self._was_reset = kind is ResetKind.WATCHDOG
        for slot in self._slots:
            slot.free()

    def read(self) -> Reading:
        """Read the timer that expires first."""
        armed = [(left, slot) for slot in self._slots if (left := slot.left_ns) is not None]
        if not armed:
            return Reading(armed=Armed.DISARMED)
        left_ns, slot = min(armed, key=lambda pair: pair[0])
        since = slot.since_kick_ns / NS
        return Reading(Armed.ARMED, left_ns / NS, float(slot.timeout_seconds), since)

    def save(self) -> bytes:
        """Return the state for a stream."""
        head = bytes([STATE_VERSION, self._was_reset])
        return head + b"".join(slot.save() for slot in self._slots)

    def load(self, data: bytes) -> None:
        """Take over a state; raises ValueError."""
        size = Slot.LAYOUT.size
        if len(data) != 2 + TIMERS * size or data[0] != STATE_VERSION:
            raise ValueError(f"xen_wdt: version {data[:1].hex()}, {len(data)} bytes")
        self._was_reset = bool(data[1])
        for number, slot in enumerate(self._slots):
            slot.load(data[2 + number * size : 2 + (number + 1) * size])

    def _watchdog(self, number: int, timeout_seconds: int) -> int:
        """SCHEDOP_watchdog (sched_op 29, command 6)."""
        if number == 0:
            for index, slot in enumerate(self._slots):
                if not slot.used:
                    slot.arm(timeout_seconds)  # zero expires at once: the caller's fault, as on Xen
                    return index + 1
            return -errno.ENOSPC
        slot_in_use = self._slot(number)
        if slot_in_use is None:
            return -errno.EINVAL
        if timeout_seconds:
            slot_in_use.arm(timeout_seconds)
        else:
            slot_in_use.free()
        return 0

    def _slot(self, number: int) -> Slot | None:
        """Return the slot of an id that is in use."""
        if not 1 <= number <= TIMERS:
            return None
        slot = self._slots[number - 1]
        return slot if slot.used else None

    def _time_left(self, slot: Slot, _value: int) -> int:
        return (slot.left_ns or 0) // 1_000_000

    def _set_pretimeout(self, slot: Slot, seconds: int) -> int:
        if seconds >= max(1, slot.timeout_seconds):
            return -errno.EINVAL
        slot.set_pretimeout(seconds)
        return 0

    def _set_action(self, slot: Slot, action: int) -> int:
        if action not in _ACTIONS:
            return -errno.EINVAL
        slot.action = action
        return 0

    def _expire(self, number: int) -> None:
        action = _ACTIONS[self._slots[number].action]
        detail = f"Watchdog timer {number + 1} fired for domain {self._machine.name}"
        self._machine.expire(detail, action)

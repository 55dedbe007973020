"""The guest's driver of the hypervisor's own watchdog: SCHEDOP_watchdog."""

from __future__ import annotations

from domwarden.contract import (
    SCHED_OP,
    SCHED_WATCHDOG,
    SCHEDOP_WATCHDOG,
    WatchdogExtension,
)
from domwarden.embedded.guest.hardware import EINVAL, Option
from domwarden.embedded.guest.layout import SCRATCH, WatchdogState
from domwarden.embedded.machine import EmbeddedMachine

ENXIO = 6
NO_ID = 0xFFFF_FFFF


class XenWdtDriver:
    """Keeps the id that the hypervisor gave; uses the extended set where there is one."""

    identity = "xen_wdt"
    options = Option.SETTIMEOUT | Option.KEEPALIVEPING | Option.MAGICCLOSE
    default_seconds = 60

    def probe(self, machine: EmbeddedMachine, state: WatchdogState) -> bool:
        """An id that cannot be is refused with -EINVAL where the hypercall exists."""
        if self._call(machine, SCHEDOP_WATCHDOG, NO_ID, 0) != -EINVAL:
            return False
        state.extended = int(self._call(machine, WatchdogExtension.VERSION, 0, 0) >= 1)
        if state.extended and self._call(machine, WatchdogExtension.WAS_RESET, 0, 0) == 1:
            state.bootstatus |= Option.CARDRESET
        return True

    def fit(self, seconds: int) -> int:
        """At least one second: zero would be an immediate expiry."""
        return seconds if 1 <= seconds <= 0xFFFF_FFFF else -EINVAL

    def start(self, machine: EmbeddedMachine, state: WatchdogState) -> int:
        """Ask for a timer; its id is kept."""
        if state.timeout_seconds <= 0:
            return -EINVAL
        answer = self._call(machine, SCHEDOP_WATCHDOG, 0, state.timeout_seconds)
        if answer <= 0:
            return answer or -EINVAL
        state.unit = answer
        self._set_pretimeout(machine, state)
        return 0

    def ping(self, machine: EmbeddedMachine, state: WatchdogState) -> int:
        """Re-arm; without an id there is nothing to re-arm."""
        if not state.unit:
            return -ENXIO
        return self._call(machine, SCHEDOP_WATCHDOG, state.unit, state.timeout_seconds)

    def stop(self, machine: EmbeddedMachine, state: WatchdogState) -> int:
        """Give the timer back."""
        if not state.unit:
            return 0
        answer = self._call(machine, SCHEDOP_WATCHDOG, state.unit, 0)
        if not answer:
            state.unit = 0
        return answer

    def program(self, machine: EmbeddedMachine, state: WatchdogState) -> None:
        """Pass the pre-time-out on to a hypervisor that knows one."""
        if state.unit:
            self.ping(machine, state)
            self._set_pretimeout(machine, state)

    def _set_pretimeout(self, machine: EmbeddedMachine, state: WatchdogState) -> None:
        if state.extended:
            seconds = state.pretimeout_seconds
            self._call(machine, WatchdogExtension.SET_PRETIMEOUT, state.unit, seconds)

    def _call(self, machine: EmbeddedMachine, command: int, timer: int, value: int) -> int:
        machine.memory.write(SCRATCH, SCHED_WATCHDOG.pack(timer, value))
        return machine.hypercall(SCHED_OP, command, SCRATCH)

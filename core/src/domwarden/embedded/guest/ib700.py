"""The guest's driver of the ib700 watchdog on the port bus.

Port 0x443: a value v of 0 to 15 arms 30 - 2 v seconds; any write to 0x441 disarms.
"""

from __future__ import annotations

from domwarden.embedded.guest.hardware import EINVAL, Option
from domwarden.embedded.guest.layout import WatchdogState
from domwarden.embedded.machine import EmbeddedMachine

STOP_PORT = 0x441
START_PORT = 0x443


class Ib700Driver:
    """Even seconds up to 30; the card cannot be read, so it is found by what answers its port."""

    identity = "IB700 WDT"
    options = Option.SETTIMEOUT | Option.KEEPALIVEPING | Option.MAGICCLOSE | Option.PRETIMEOUT
    default_seconds = 30

    def probe(self, machine: EmbeddedMachine, state: WatchdogState) -> bool:
        """See whether anything sits at the port, as firmware tables would say."""
        if not machine.ports.answers(START_PORT):
            return False
        machine.ports.write(STOP_PORT, 1, 0)
        return True

    def fit(self, seconds: int) -> int:
        """2 to 30 seconds, odd ones rounded up."""
        return seconds + seconds % 2 if 1 <= seconds <= 30 else -EINVAL

    def start(self, machine: EmbeddedMachine, state: WatchdogState) -> int:
        """Arm."""
        return self.ping(machine, state)

    def ping(self, machine: EmbeddedMachine, state: WatchdogState) -> int:
        """Arm again."""
        machine.ports.write(START_PORT, 1, (30 - state.timeout_seconds) // 2)
        return 0

    def stop(self, machine: EmbeddedMachine, state: WatchdogState) -> int:
        """Disarm."""
        machine.ports.write(STOP_PORT, 1, 0)
        return 0

    def program(self, machine: EmbeddedMachine, state: WatchdogState) -> None:
        """Arm with the new time-out, if armed."""
        if state.active:
            self.ping(machine, state)

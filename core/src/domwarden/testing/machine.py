"""A bare embedded machine on a bench: for tests of devices, register by register."""

from __future__ import annotations

from collections.abc import Sequence

from domwarden.contract import (
    Action,
    Definition,
    Event,
    EventKind,
    ResetKind,
    RunState,
    WatchdogEntry,
)
from domwarden.embedded.clock import NS, ManualClock
from domwarden.embedded.guest.kernel import EmbeddedGuest
from domwarden.embedded.machine import EmbeddedMachine

__all__ = ["DeviceBench", "EmbeddedMachine", "ManualClock"]


class DeviceBench:
    """One running machine under a clock that is advanced by hand; no event loop is needed.

    ``bench.machine`` is what a device's ``attach`` gets; the bench plays the guest through
    ``machine.ports``, ``machine.mmio`` (``read(address, size)``, ``write(address, size, value)``)
    and ``machine.hypercall(number, command, pointer)``.  With ``guest=True`` the embedded guest
    boots in ``power_on`` and ``type`` speaks to its shell.
    """

    def __init__(
        self,
        *,
        watchdog: WatchdogEntry | None = None,
        guest: bool = False,
        clock: ManualClock | None = None,
        memory_bytes: int = 4 * 1024 * 1024,
    ) -> None:
        self.clock = clock or ManualClock()
        self.definition = Definition(
            "bench", "", "embedded", memory_bytes, watchdog=watchdog, boot={"resident": 0}
        )
        self.machine = EmbeddedMachine(
            self.definition, self.clock, guest=EmbeddedGuest() if guest else None
        )
        self.events: list[Event] = []
        self.machine.events.listen(self.events.append)
        self.clock.attach(self)

    def power_on(self) -> None:
        """Run, after every device was attached."""
        self.machine.become(RunState.RUNNING)
        self.machine.reset(ResetKind.POWER_ON)

    def advance(self, seconds: float) -> None:
        """Let time pass; timers fire at their own moments."""
        self.clock.advance(seconds)

    def advance_ns(self, nanoseconds: int) -> None:
        """Let time pass, exactly."""
        self.clock.advance_to(self.clock.now_ns() + nanoseconds)

    def type(self, line: str) -> list[str]:
        """Type a line into the guest's shell; returns what it printed at once."""
        return self.machine.type_line(line)

    @property
    def expiries(self) -> Sequence[Action]:
        """The actions of the watchdog's firings so far."""
        fired = (event for event in self.events if event.kind is EventKind.WATCHDOG)
        return [Action(event.data["action"]) for event in fired]

    def move_to(self, other: DeviceBench) -> None:
        """Carry memory and device state over to another bench's machine, as a migration does.

        The other machine must not have been powered on; this one is DEPARTED afterwards.
        """
        was = self.machine.state
        self.machine.become(RunState.SUSPENDED)
        memory = self.machine.memory
        for number in memory.used_pages():
            other.machine.memory.write(number * 4096, memory.page(number))
        for name, (save, _) in self.machine.sections.items():
            other.machine.sections[name][1](save())
        other.machine.loaded()
        other.machine.become(RunState.RECEIVED)
        self.machine.become(RunState.DEPARTED)
        other.machine.become(was)

    def next_ns(self) -> int | None:
        """For the clock."""
        return self.machine.next_ns()

    def run_due(self) -> None:
        """For the clock."""
        self.machine.run_due(self.clock.now_ns())

    @property
    def seconds(self) -> float:
        """The clock's time in seconds."""
        return self.clock.now_ns() / NS

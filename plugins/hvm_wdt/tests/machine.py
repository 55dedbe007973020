"""A machine with one clock that stands still until it is advanced."""

from collections.abc import Callable
from typing import Any

from domwarden.contract import Action, BusDevice, Reading, ResetKind, TimerClock


class ManualTimer:
    def __init__(self, fire: Callable[[], None]) -> None:
        self.fire = fire
        self.deadline_ns: int | None = None

    def set(self, deadline_ns: int) -> None:
        self.deadline_ns = deadline_ns

    def cancel(self) -> None:
        self.deadline_ns = None


class ManualMachine:
    """What the cards need of an embedded machine; deadlines run each at its own moment."""

    name = "bench"

    def __init__(self, now_ns: int = 0) -> None:
        self.now_ns = now_ns
        self.timers: list[ManualTimer] = []
        self.ports: dict[int, tuple[int, BusDevice]] = {}
        self.mmio: dict[int, tuple[int, BusDevice]] = {}
        self.slots: dict[int, BusDevice] = {}
        self.states: dict[str, tuple[Callable[[], bytes], Callable[[bytes], None]]] = {}
        self.resets: list[Callable[[ResetKind], None]] = []
        self.read_watchdog: Callable[[], Reading]
        #: (when, detail) of each firing.
        self.expiries: list[tuple[int, str]] = []

    def clock_ns(self, clock: TimerClock = TimerClock.GUEST) -> int:
        assert clock is TimerClock.GUEST
        return self.now_ns

    def timer(self, fire: Callable[[], None], clock: TimerClock = TimerClock.GUEST) -> ManualTimer:
        assert clock is TimerClock.GUEST
        self.timers.append(ManualTimer(fire))
        return self.timers[-1]

    def map_ports(self, base: int, size: int, device: BusDevice) -> None:
        self.ports[base] = (size, device)

    def map_mmio(self, base: int, size: int, device: BusDevice) -> None:
        if any(base < at + length and at < base + size for at, (length, _) in self.mmio.items()):
            raise ValueError("overlap")
        self.mmio[base] = (size, device)

    def unmap_mmio(self, base: int) -> None:
        del self.mmio[base]

    def map_pci(self, slot: int, config: BusDevice) -> None:
        self.slots[slot] = config

    def add_hypercall(self, number: int, handler: Callable[[int, bytes], int]) -> None:
        raise AssertionError("the cards have no hypercalls")

    def add_state(
        self, section: str, save: Callable[[], bytes], load: Callable[[bytes], None]
    ) -> None:
        self.states[section] = (save, load)

    def add_command(self, device: str, command: str, handler: Any) -> None:
        raise AssertionError("the cards have no commands")

    def add_reset(self, reset: Callable[[ResetKind], None]) -> None:
        self.resets.append(reset)

    def add_reading(self, read: Callable[[], Reading]) -> None:
        self.read_watchdog = read

    def expire(self, detail: str, action: Action | None = None) -> None:
        self.expiries.append((self.now_ns, detail))

    def notify_guest(self, signal: str) -> None:
        raise AssertionError("the cards raise no interrupt")

    # What a test does with it

    def advance_to(self, target_ns: int, *, until_expiry: bool = False) -> None:
        before = len(self.expiries)
        while not until_expiry or len(self.expiries) == before:
            due = [t for t in self.timers if t.deadline_ns is not None]
            first = min(due, key=lambda t: t.deadline_ns or 0, default=None)
            if first is None or first.deadline_ns is None or first.deadline_ns > target_ns:
                self.now_ns = max(self.now_ns, target_ns)
                break
            self.now_ns = max(self.now_ns, first.deadline_ns)
            first.deadline_ns = None
            first.fire()

    def advance(self, seconds: float) -> None:
        self.advance_to(self.now_ns + round(seconds * 1e9))

    def reset(self, kind: ResetKind = ResetKind.OPERATOR) -> None:
        for reset in self.resets:
            reset(kind)

    def saved(self) -> dict[str, bytes]:
        return {section: save() for section, (save, _) in self.states.items()}

    def load(self, sections: dict[str, bytes]) -> None:
        for section, data in sections.items():
            self.states[section][1](data)

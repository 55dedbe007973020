"""One embedded machine: memory, buses, clocks, and whoever sits on them."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, Protocol

from domwarden.contract import (
    Action,
    BusDevice,
    Definition,
    EventKind,
    Reading,
    ResetKind,
    RunState,
    Timer,
    TimerClock,
)
from domwarden.embedded.bus import AddressBus
from domwarden.embedded.clock import Clock
from domwarden.embedded.console import Console
from domwarden.embedded.events import EventFeed
from domwarden.embedded.guest_clock import StoppableClock
from domwarden.embedded.memory import PagedMemory
from domwarden.embedded.pci import CONFIG_ADDRESS, PciBridge

ENOSYS = 38
#: A handler of a hypercall gets this much of the guest's memory at the pointer, or less at its end.
ARGUMENT_BYTES = 64
#: Events handled in one go, so that a busy guest does not keep the event loop for itself.
EVENTS_AT_ONCE = 1000

Save = Callable[[], bytes]
Load = Callable[[bytes], None]
Command = Callable[[Mapping[str, Any]], Awaitable[Any]]

_SECTION = struct.Struct("<BQBI")
_SECTION_VERSION = 1
_RESETS = tuple(ResetKind)


class GuestCode(Protocol):
    """What a machine's processor executes; it keeps nothing outside of the machine's memory."""

    def boot(self, machine: EmbeddedMachine) -> None:
        """Start over in a cleared memory."""

    def wake_ns(self, machine: EmbeddedMachine) -> int | None:
        """Return when on the guest's clock it wants to run next; None: it halted or hangs."""

    def run(self, machine: EmbeddedMachine) -> None:
        """Do what is due."""

    def signal(self, machine: EmbeddedMachine, signal: str) -> None:
        """Take an interrupt."""

    def receive_line(self, machine: EmbeddedMachine, line: str) -> None:
        """Take a line from the serial console."""


class EmbeddedMachine:
    """Implements the contract's ``Machine``; its run state changes by ``become`` only."""

    def __init__(
        self,
        definition: Definition,
        clock: Clock,
        *,
        guest: GuestCode | None = None,
        dump: Callable[[EmbeddedMachine], None] | None = None,
        moved_earlier: Callable[[], None] = lambda: None,
    ) -> None:
        self.definition = definition
        self.memory = PagedMemory(definition.memory_bytes)
        self.ports = AddressBus("port bus")
        self.mmio = AddressBus("memory bus")
        self.pci = PciBridge()
        self.ports.map(CONFIG_ADDRESS, 8, self.pci)
        self.console = Console()
        self.events = EventFeed(clock.unix_seconds)
        self.sections: dict[str, tuple[Save, Load]] = {}
        self.last_reset = ResetKind.UNKNOWN
        self.detail = ""
        #: Whether this copy ever was the domain: it ran here, or was received and taken over.
        self.activated = False
        self._resets_seen = 0
        self._closes: list[Callable[[], None]] = []
        self._clock = clock
        self._guest = guest
        self._dump = dump or (lambda machine: machine.reset(ResetKind.WATCHDOG))
        self._at_ns: int | None = None
        self._depth = 0
        self._pending: list[Callable[[], None]] = []
        self._state = RunState.INCOMING
        self._clocks = {
            TimerClock.GUEST: StoppableClock(0, moved_earlier),
            TimerClock.HOST: StoppableClock(0, moved_earlier),
        }
        self._hypercalls: dict[int, Callable[[int, bytes], int]] = {}
        self._commands: dict[tuple[str, str], Command] = {}
        self._on_reset: list[Callable[[ResetKind], None]] = []
        self._read_watchdog: Callable[[], Reading] = Reading
        self._processor = self._clocks[TimerClock.GUEST].timers.timer(self._execute)
        self.add_state("machine", self._save, self._load)
        self.add_state("machine/console", self.console.save, self.console.load)

    # ---- what devices see (the contract's Machine) ------------------------------------------

    @property
    def name(self) -> str:
        """The domain's name."""
        return self.definition.name

    def clock_ns(self, clock: TimerClock = TimerClock.GUEST) -> int:
        """Return the time of one of the machine's two clocks."""
        return self._clocks[clock].now_ns(self._host_ns())

    def timer(self, fire: Callable[[], None], clock: TimerClock = TimerClock.GUEST) -> Timer:
        """Make a timer that calls ``fire`` at its deadline."""
        return self._clocks[clock].timers.timer(fire)

    def map_ports(self, base: int, size: int, device: BusDevice) -> None:
        """Put registers on the port bus; raises ValueError on an overlap."""
        self.ports.map(base, size, device)

    def map_mmio(self, base: int, size: int, device: BusDevice) -> None:
        """Put registers on the memory bus; raises ValueError on an overlap."""
        self.mmio.map(base, size, device)

    def unmap_mmio(self, base: int) -> None:
        """Take away what was mapped at ``base``; idempotent."""
        self.mmio.unmap(base)

    def map_pci(self, slot: int, config: BusDevice) -> None:
        """Put a configuration space into a slot; raises ValueError when it is taken."""
        self.pci.plug(slot, config)

    def add_hypercall(self, number: int, handler: Callable[[int, bytes], int]) -> None:
        """Answer a hypercall; raises ValueError when it is answered already."""
        if number in self._hypercalls:
            raise ValueError(f"hypercall {number} is answered already")
        self._hypercalls[number] = handler

    def add_state(self, section: str, save: Save, load: Load) -> None:
        """Take part in every stream; raises ValueError for a name that is taken."""
        if section in self.sections:
            raise ValueError(f"state section {section!r} is there already")
        self.sections[section] = (save, load)

    def add_command(self, device: str, command: str, handler: Command) -> None:
        """Offer a command of a device; raises ValueError for one that is taken."""
        if (device, command) in self._commands:
            raise ValueError(f"device {device!r} has a command {command!r} already")
        self._commands[device, command] = handler

    def add_close(self, close: Callable[[], None]) -> None:
        """Be told when the machine is gone."""
        self._closes.append(close)

    def close(self) -> None:
        """Tell every device that the machine is gone."""
        while self._closes:
            self._closes.pop()()

    def add_reset(self, reset: Callable[[ResetKind], None]) -> None:
        """Be told when the machine is reset."""
        self._on_reset.append(reset)

    def add_reading(self, read: Callable[[], Reading]) -> None:
        """Offer the watchdog's timer to ``Engine.read_watchdog``."""
        self._read_watchdog = read

    def expire(self, detail: str, action: Action | None = None) -> None:
        """Report that the watchdog fired; ignored by a copy that does not live here.

        The action follows when the device's own handler is through, as on real machines.
        """
        if self._state not in (RunState.RUNNING, RunState.PAUSED):
            return
        with self._entered():
            watchdog = self.definition.watchdog
            taken = action or (watchdog.action if watchdog else Action.RESET)
            driver = watchdog.driver if watchdog else ""
            self.events.emit(EventKind.WATCHDOG, action=str(taken), driver=driver, detail=detail)
            self._pending.append(lambda: self.act(taken))

    def notify_guest(self, signal: str) -> None:
        """Raise an interrupt in the guest."""
        if self._guest is not None and self._state is RunState.RUNNING:
            with self._entered():
                self._guest.signal(self, signal)

    # ---- what the hypervisor and the guest do with it ---------------------------------------

    @property
    def state(self) -> RunState:
        """What this copy is."""
        return self._state

    def become(self, state: RunState, detail: str = "") -> None:
        """Change what this copy is; while it is paused, only the host's clock runs."""
        before, self._state, self.detail = self._state, state, detail
        self.activated |= state in (RunState.RUNNING, RunState.PAUSED)
        now = self._host_ns()
        self._clocks[TimerClock.GUEST].run(state is RunState.RUNNING, now)
        self._clocks[TimerClock.HOST].run(state in (RunState.RUNNING, RunState.PAUSED), now)
        if state is before:
            return
        if state is RunState.PAUSED and before is RunState.RUNNING:
            self.events.emit(EventKind.PAUSED)
        elif state is RunState.RUNNING:
            self.events.emit(EventKind.RESUMED)

    def power_off(self, detail: str) -> None:
        """End: the guest or its watchdog wanted it so."""
        self.become(RunState.ENDED, detail)
        self.events.emit(EventKind.SHUTDOWN, detail=detail)

    def reset(self, kind: ResetKind) -> None:
        """Start over: devices first, then an empty memory, then the guest."""
        self.last_reset = kind
        self._resets_seen += 1
        for reset in self._on_reset:
            reset(kind)
        self.pci.address = 0
        self.memory.clear()
        self._processor.cancel()
        if kind is not ResetKind.POWER_ON:
            self.events.emit(EventKind.RESET, cause=str(kind))
        if self._guest is not None:
            self._guest.boot(self)
            self._plan_guest()

    def request_reset(self) -> None:
        """Reset from inside, once the guest's present instruction is through."""
        self._pending.append(lambda: self.reset(ResetKind.GUEST))

    def act(self, action: Action) -> None:
        """Do what a watchdog's action means."""
        if action is Action.RESET:
            self.reset(ResetKind.WATCHDOG)
        elif action is Action.POWEROFF:
            self.power_off("powered off by the watchdog")
        elif action is Action.SHUTDOWN:
            self.notify_guest("powerbutton")
        elif action is Action.PAUSE:
            if self._state is RunState.RUNNING:
                self.become(RunState.PAUSED, "paused by the watchdog")
        elif action is Action.DUMP:
            self._dump(self)
        elif action is Action.NMI:
            self.notify_guest("nmi")

    def hypercall(self, number: int, command: int, pointer: int) -> int:
        """Call the hypervisor from the guest; returns a value or -errno."""
        handler = self._hypercalls.get(number)
        if handler is None:
            return -ENOSYS
        return handler(command, self.memory.read_upto(pointer, ARGUMENT_BYTES))

    def type_line(self, line: str) -> list[str]:
        """Type a line into the guest's console; returns what it printed at once."""
        position = self.console.position
        if self._guest is not None and self._state is RunState.RUNNING:
            with self._entered():
                self._guest.receive_line(self, line)
        return self.console.since(position)

    def command(self, device: str, command: str) -> Command:
        """Return a device's command; raises KeyError."""
        return self._commands[device, command]

    def read_watchdog(self) -> Reading:
        """Read the watchdog's timer."""
        return self._read_watchdog()

    def next_ns(self) -> int | None:
        """Return the host's time of the machine's next event."""
        times = [at for clock in self._clocks.values() if (at := clock.next_host_ns()) is not None]
        return min(times, default=None)

    def run_due(self, now_ns: int) -> None:
        """Let happen what is due, each event at its own time; the host's timers first."""
        for _ in range(EVENTS_AT_ONCE):
            first: StoppableClock | None = None
            first_ns = now_ns
            for clock in (self._clocks[TimerClock.HOST], self._clocks[TimerClock.GUEST]):
                at_ns = clock.next_host_ns()
                if at_ns is not None and (at_ns < first_ns or (at_ns == first_ns and not first)):
                    first, first_ns = clock, at_ns
            if first is None:
                return
            self._at_ns = first_ns
            try:
                with self._entered():
                    first.fire_next(first_ns)
            finally:
                self._at_ns = None

    # ---- inner works ------------------------------------------------------------------------

    def _host_ns(self) -> int:
        return self._clock.now_ns() if self._at_ns is None else self._at_ns

    @contextlib.contextmanager
    def _entered(self) -> Iterator[None]:
        """Perform the actions of expiries, and plan the guest, once the outermost entry ends."""
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
        if self._depth:
            return
        while self._pending:
            self._pending.pop(0)()
        self._plan_guest()

    def _execute(self) -> None:
        if self._guest is not None:
            self._guest.run(self)

    def _plan_guest(self) -> None:
        wake_ns = self._guest.wake_ns(self) if self._guest is not None else None
        if wake_ns is None:
            self._processor.cancel()
        elif wake_ns != self._processor.deadline_ns:
            self._processor.set(wake_ns)

    def _save(self) -> bytes:
        guest_ns = self.clock_ns(TimerClock.GUEST)
        kind = _RESETS.index(self.last_reset)
        return _SECTION.pack(_SECTION_VERSION, guest_ns, kind, self._resets_seen) + struct.pack(
            "<I", self.pci.address
        )

    def _load(self, data: bytes) -> None:
        if len(data) != _SECTION.size + 4:
            raise ValueError(f"{len(data)} bytes")
        version, guest_ns, kind, self._resets_seen = _SECTION.unpack(data[: _SECTION.size])
        if version != _SECTION_VERSION or kind >= len(_RESETS):
            raise ValueError(f"version {version}, reset {kind}")
        self._clocks[TimerClock.GUEST].set(guest_ns)
        self.last_reset = _RESETS[kind]
        (self.pci.address,) = struct.unpack("<I", data[_SECTION.size :])

    def loaded(self) -> None:
        """Plan the guest from the memory that a stream brought."""
        self._plan_guest()

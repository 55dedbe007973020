"""The guest's kernel: boot, schedule, take interrupts, fail."""

from __future__ import annotations

from collections.abc import Callable

from domwarden.contract import EventKind
from domwarden.embedded.guest import programs
from domwarden.embedded.guest.boot import BootParameters
from domwarden.embedded.guest.disk import first_disk
from domwarden.embedded.guest.layout import (
    RECORDS,
    RESIDENT,
    Counter,
    Daemon,
    Dirtier,
    Execution,
    Kernel,
)
from domwarden.embedded.guest.records import GuestCorruptError
from domwarden.embedded.guest.shell import run_line
from domwarden.embedded.guest.watchdog import WatchdogDevice
from domwarden.embedded.machine import EmbeddedMachine

Task = tuple[int, Callable[[EmbeddedMachine, int], None]]


class EmbeddedGuest:
    """Implements ``GuestCode``; every call decodes the state from memory and encodes it again."""

    def boot(self, machine: EmbeddedMachine) -> None:
        """Start over: the firmware's parameters, a kernel, its drivers, its programs."""
        BootParameters.from_mapping(machine.definition.boot).store(machine.memory)  # the firmware
        parameters = BootParameters.load(machine.memory)
        now_ns = machine.clock_ns()
        Kernel(booted_ns=now_ns).store(machine.memory)
        for record in (Counter(), Dirtier(), Daemon()):
            record.store(machine.memory)
        image = b"domwarden guest. " * (parameters.resident // 17 + 1)
        room = max(0, machine.memory.size_bytes - RESIDENT)
        machine.memory.write(RESIDENT, image[: min(parameters.resident, room)])
        machine.console.print(f"guest: booted after {machine.last_reset} reset")
        WatchdogDevice(machine).probe(nowayout=parameters.nowayout)
        self._start(machine, parameters)

    def wake_ns(self, machine: EmbeddedMachine) -> int | None:
        """Return when the first program is due; None if the guest halted, hangs, or is no more."""
        try:
            if Kernel.load(machine.memory).execution != Execution.RUNNING:
                return None
            return min((at for at, _ in self._tasks(machine)), default=None)
        except GuestCorruptError:
            return None

    def run(self, machine: EmbeddedMachine) -> None:
        """Run every program that is due."""
        try:
            kernel = Kernel.load(machine.memory)
            if kernel.execution != Execution.RUNNING:
                return
            now_ns = machine.clock_ns()
            kernel.interrupts += 1
            kernel.store(machine.memory)
            for at_ns, task in self._tasks(machine):
                if at_ns <= now_ns:
                    task(machine, now_ns)
        except GuestCorruptError:
            return  # the processor ran into garbage: whatever it does, it is not this guest

    def signal(self, machine: EmbeddedMachine, signal: str) -> None:
        """Take an interrupt; a kernel with interrupts off, or none at all, takes none."""
        try:
            if Kernel.load(machine.memory).execution != Execution.RUNNING:
                return
            if signal == "pretimeout":
                WatchdogDevice(machine).pretimeout()
            elif signal == "powerbutton":
                machine.console.print("guest: power button, shutting down")
                programs.stop_daemon(machine, magic=True)
                halt(machine, "the guest shut down")
            else:
                machine.console.print(f"guest: {signal} received")
        except GuestCorruptError:
            return

    def receive_line(self, machine: EmbeddedMachine, line: str) -> None:
        """Let the shell run a line."""
        try:
            if Kernel.load(machine.memory).execution == Execution.RUNNING:
                ending = run_line(machine, line)
                if ending is not None:
                    _END[ending](machine)
        except GuestCorruptError:
            return

    def _start(self, machine: EmbeddedMachine, parameters: BootParameters) -> None:
        if "counter" in parameters.program:
            programs.start_counter(machine, parameters.period, first_disk(machine))
        if "dirtier" in parameters.program:
            programs.start_dirtier(machine, parameters.dirty_rate, parameters.dirty_area)
        if "watchdog" in parameters.program:
            error = programs.start_daemon(machine, parameters.timeout, parameters.kick)
            if error:
                machine.console.print(f"guest: watchdog: error {-error}")
            elif parameters.pretimeout:
                WatchdogDevice(machine).set_pretimeout(parameters.pretimeout)

    def _tasks(self, machine: EmbeddedMachine) -> list[Task]:
        tasks: list[Task] = []
        counter = Counter.load(machine.memory)
        dirtier = Dirtier.load(machine.memory)
        daemon = Daemon.load(machine.memory)
        device = WatchdogDevice(machine)
        if daemon.on:
            tasks.append((daemon.next_ns, programs.kick))
        if counter.on:
            tasks.append((counter.next_ns, programs.count))
        if dirtier.on:
            tasks.append((dirtier.next_ns, programs.dirty))
        pretimeout_ns = device.pretimeout_at_ns()
        if pretimeout_ns is not None:
            tasks.append((pretimeout_ns, lambda _machine, _now: device.pretimeout()))
        return tasks


def halt(machine: EmbeddedMachine, detail: str) -> None:
    """Power the machine off from inside."""
    kernel = Kernel.load(machine.memory)
    kernel.execution = Execution.HALTED
    kernel.store(machine.memory)
    machine.power_off(detail)


def _hang(machine: EmbeddedMachine) -> None:
    _execute(machine, Execution.IRQS_OFF)


def _panic(machine: EmbeddedMachine) -> None:
    machine.console.print("Kernel panic - not syncing: asked for")
    _execute(machine, Execution.PANICKED)
    machine.events.emit(EventKind.PANICKED)


def _corrupt(machine: EmbeddedMachine) -> None:
    first, end = RECORDS
    machine.memory.write(first, b"\xde\xad\xbe\xef" * ((end - first) // 4))


def _execute(machine: EmbeddedMachine, execution: Execution) -> None:
    kernel = Kernel.load(machine.memory)
    kernel.execution = execution
    kernel.store(machine.memory)


_END: dict[str, Callable[[EmbeddedMachine], None]] = {
    "irqs-off": _hang,
    "panic": _panic,
    "corrupt": _corrupt,
    "poweroff": lambda machine: halt(machine, "the guest shut down"),
    "reboot": lambda machine: machine.request_reset(),
}

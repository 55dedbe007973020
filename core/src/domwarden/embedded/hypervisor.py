"""The hypervisor: every embedded machine of one process, and their lives."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any

from domwarden.contract import (
    Action,
    Definition,
    EngineError,
    Event,
    EventKind,
    Host,
    Observation,
    Reading,
    ResetKind,
    Room,
    RunState,
)
from domwarden.embedded.clock import Clock, ManualClock, RealClock
from domwarden.embedded.copies import Copy
from domwarden.embedded.dump import write_dump
from domwarden.embedded.guest.kernel import EmbeddedGuest
from domwarden.embedded.machine import EmbeddedMachine
from domwarden.embedded.making import Makings
from domwarden.embedded.timers import QueuedTimer, TimerQueue

LOG = logging.getLogger(__name__)
_RUNNABLE = (RunState.RUNNING, RunState.PAUSED)


class Hypervisor:
    """Machines of one or more hosts in this process; outlives the engines that drive it.

    ``clock`` is real by default.  All methods belong to one event loop.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock: Clock = clock or RealClock()
        self._copies: dict[tuple[str, str], Copy] = {}
        self.makings = Makings()
        #: One entry a machine, at its next event: machines cost nothing while nothing is due.
        self._queue = TimerQueue(self._wake_clock)
        self._entries: dict[EmbeddedMachine, QueuedTimer] = {}
        self._wake = self.clock.attach(self) if isinstance(self.clock, ManualClock) else None

    # ---- time -------------------------------------------------------------------------------

    def next_ns(self) -> int | None:
        """Return when the next event of any machine is due."""
        return self._queue.next_ns()

    def run_due(self) -> None:
        """Let every machine do what is due now."""
        now_ns = self.clock.now_ns()
        for _ in range(len(self._entries)):
            due = self._queue.pop_due(now_ns)
            if due is None:
                return
            due.fire()

    def _wake_clock(self) -> None:
        if self._wake is not None:
            self._wake()

    def _plan(self, machine: EmbeddedMachine) -> None:
        entry = self._entries.get(machine)
        if entry is None:
            return
        at_ns = machine.next_ns()
        if at_ns is None:
            entry.cancel()
        elif at_ns != entry.deadline_ns:
            entry.set(at_ns)

    def _run(self, machine: EmbeddedMachine) -> None:
        try:
            machine.run_due(self.clock.now_ns())
        except Exception as error:  # a device's bug ends its own machine, not everybody's clock
            LOG.exception("%s: a device failed", machine.name)
            machine.power_off(f"a device failed: {type(error).__name__}: {error}")
        self._plan(machine)

    # ---- which copies there are -------------------------------------------------------------

    def find(self, host: Host, name: str) -> Copy | None:
        """Return the copy of a domain on a host, brought up to the present time."""
        copy = self._copies.get((host.name, name))
        if copy is not None:
            self._run(copy.machine)
        return copy

    def copy(self, host: Host, name: str) -> Copy:
        """Return the copy; raises EngineError."""
        copy = self.find(host, name)
        if copy is None:
            raise EngineError(f"no domain {name!r} on host {host.name!r}")
        return copy

    @contextlib.contextmanager
    def changing(self, copy: Copy) -> Iterator[EmbeddedMachine]:
        """Plan the machine's next event after whatever the context does to it."""
        try:
            yield copy.machine
        finally:
            self._plan(copy.machine)

    @property
    def count(self) -> int:
        """How many copies there are, on all hosts."""
        return len(self._copies)

    def domains(self, host: Host) -> Sequence[str]:
        """Return the names of all copies on a host."""
        return [name for host_name, name in self._copies if host_name == host.name]

    def create(self, host: Host, definition: Definition, room: Room) -> Copy:
        """Make a held machine with its devices; raises EngineError."""
        if (host.name, definition.name) in self._copies:
            raise EngineError(f"domain {definition.name!r} is here already")
        if self._wake is None:
            self._wake = self.clock.attach(self)
        machine = EmbeddedMachine(
            definition,
            self.clock,
            guest=EmbeddedGuest(),
            dump=lambda machine: self._dump(host, machine),
            moved_earlier=lambda: self._plan(machine),
        )
        try:
            room.ask("attach", machine=machine)
        except ValueError as error:
            raise EngineError(f"a device does not fit the machine: {error}") from error
        copy = Copy(host, machine)
        self._copies[host.name, definition.name] = copy
        self._entries[machine] = self._queue.timer(lambda: self._run(machine))
        return copy

    def destroy(self, copy: Copy) -> None:
        """Remove a copy and all that belongs to it; its listeners hear GONE."""
        copy.close()
        machine = copy.machine
        self._copies.pop((copy.host.name, machine.name), None)
        entry = self._entries.pop(machine, None)
        if entry is not None:
            entry.cancel()
        machine.become(RunState.ENDED, "destroyed")
        machine.close()
        machine.events.emit(EventKind.GONE)

    def close(self) -> None:
        """Remove every copy."""
        for copy in tuple(self._copies.values()):
            self.destroy(copy)

    # ---- what is done to one domain ---------------------------------------------------------

    def start(self, host: Host, definition: Definition, room: Room, *, held: bool) -> None:
        """Start a domain; with ``held`` before its first instruction."""
        old = self.find(host, definition.name)
        if old is not None and old.machine.state is RunState.ENDED:
            self.destroy(old)
        copy = self.create(host, definition, room)
        if not held:
            self._power_on(copy)

    async def stop(self, host: Host, name: str, graceful_seconds: float) -> None:
        """End a domain, also one that is being made; ask the guest first."""
        self.makings.end(host, name)
        copy = self.find(host, name)
        if copy is None:
            return
        if graceful_seconds > 0 and copy.machine.state is RunState.RUNNING:
            with self.changing(copy) as machine:
                machine.notify_guest("powerbutton")
            until_ns = self.clock.now_ns() + round(graceful_seconds * 1e9)
            while machine.state is RunState.RUNNING and self.clock.now_ns() < until_ns:
                await self.clock.spend(min(0.05, graceful_seconds))
        self.destroy(copy)

    def pause(self, host: Host, name: str) -> None:
        """Stop its processors; idempotent."""
        copy = self._expect(host, name, *_RUNNABLE)
        with self.changing(copy) as machine:
            machine.become(RunState.PAUSED)

    def resume(self, host: Host, name: str) -> None:
        """Let it run: paused, or started held; idempotent."""
        copy = self._expect(host, name, *_RUNNABLE, RunState.INCOMING)
        if copy.receiving is not None and copy.machine.state is RunState.INCOMING:
            raise EngineError(
                f"domain {name!r} waits for its stream", hint="activate or discard it"
            )
        if copy.machine.state is RunState.INCOMING:
            self._power_on(copy)
        with self.changing(copy) as machine:
            machine.become(RunState.RUNNING)

    def reset(self, host: Host, name: str) -> None:
        """Press the reset button."""
        copy = self._expect(host, name, *_RUNNABLE)
        with self.changing(copy) as machine:
            machine.reset(ResetKind.OPERATOR)

    def act(self, host: Host, name: str, action: Action) -> None:
        """Do what a watchdog's action means."""
        copy = self._expect(host, name, *_RUNNABLE)
        with self.changing(copy) as machine:
            machine.act(action)

    def observe(self, host: Host, name: str) -> Observation:
        """Look at a domain."""
        copy = self.find(host, name)
        if copy is None or copy.machine.state is RunState.ENDED:
            making = self.makings.observe(host, name)
            if making is not None:
                return making
        if copy is None:
            return Observation(RunState.ABSENT)
        return Observation(copy.machine.state, copy.machine.detail)

    def events(self, host: Host, name: str) -> AsyncIterator[Event]:
        """Follow a domain's events from now on; raises EngineError."""
        return self.copy(host, name).machine.events.follow()

    def read_watchdog(self, host: Host, name: str) -> Reading:
        """Read the watchdog's timer."""
        return self.copy(host, name).machine.read_watchdog()

    async def command(
        self, host: Host, name: str, device: str, command: str, arguments: Mapping[str, Any]
    ) -> Any:
        """Call a device's command; the device "" is the machine itself (``type``, ``log``)."""
        copy = self.copy(host, name)
        if not device and command == "type":
            if copy.machine.state is not RunState.RUNNING:
                raise EngineError(f"domain {name!r} does not run: nobody reads its console")
            with self.changing(copy) as machine:
                return machine.type_line(str(arguments.get("line", "")))
        if not device and command == "log":
            return copy.machine.console.since(0)
        try:
            handler = copy.machine.command(device, command)
        except KeyError:
            raise EngineError(f"device {device!r} has no command {command!r}") from None
        with self.changing(copy):
            return await handler(arguments)

    # ---- inner works ------------------------------------------------------------------------

    def _expect(self, host: Host, name: str, *states: RunState) -> Copy:
        copy = self.copy(host, name)
        if copy.machine.state not in states:
            raise EngineError(f"domain {name!r} is {copy.machine.state}")
        return copy

    def _power_on(self, copy: Copy) -> None:
        with self.changing(copy) as machine:
            machine.become(RunState.RUNNING)
            machine.reset(ResetKind.POWER_ON)

    def _dump(self, host: Host, machine: EmbeddedMachine) -> None:
        """Pause, write the memory in a thread, then reset; a failed write resets all the same."""
        was_running = machine.state is RunState.RUNNING
        if was_running:
            machine.become(RunState.PAUSED, "memory is dumped")
        copy = self._copies[host.name, machine.name]
        task = asyncio.get_running_loop().create_task(
            self._dump_and_reset(copy, was_running), name=f"{machine.name}/dump"
        )
        copy.keep(task)

    async def _dump_and_reset(self, copy: Copy, was_running: bool) -> None:
        machine = copy.machine
        pages = {number: machine.memory.page(number) for number in machine.memory.used_pages()}
        name = f"dump-{self.clock.unix_seconds():.3f}.mem"
        path = copy.host.domain_directory(machine.name) / name
        try:
            await asyncio.to_thread(write_dump, path, pages, machine.memory.size_bytes)
        except OSError as error:
            machine.console.print(f"hypervisor: no dump: {error}")
        if machine.state not in _RUNNABLE:
            return
        with self.changing(copy):
            machine.reset(ResetKind.WATCHDOG)
            if was_running:
                machine.become(RunState.RUNNING)

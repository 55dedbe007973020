"""The engine: one method a verb, each handed to the module that knows how."""

from __future__ import annotations

import asyncio
import collections
import weakref
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from domwarden.contract import (
    Action,
    Definition,
    Event,
    Host,
    Incoming,
    Observation,
    Outgoing,
    QemuControl,
    QemuHooks,
    Reading,
    Room,
    available_memory_bytes,
)
from domwarden.contract import Engine as EngineContract

from . import actions, ending, events, incoming, observe, outgoing, realize, resuming
from .arguments import command_line
from .capabilities import Capabilities, probe
from .control import Control
from .files import Files
from .launch import launch
from .monitor import LINGER_SECONDS, SHORT_LINGER_SECONDS, Monitor
from .record import Record
from .sampling import Samples, read
from .schema import HOST_SCHEMA, SCHEMA, HostOptions


class QemuEngine(EngineContract):
    """QEMU/KVM, or QEMU alone, on this host."""

    contract: ClassVar[int] = 1
    SCHEMA: ClassVar[Mapping[Any, Any]] = SCHEMA
    HOST_SCHEMA: ClassVar[Mapping[Any, Any]] = HOST_SCHEMA
    HOOKS: ClassVar[type | None] = QemuHooks
    DEVICE_HOOK: ClassVar[str] = "qemu_args"
    ACTIONS: ClassVar[frozenset[Action]] = frozenset(Action)
    SUPERVISED: ClassVar[frozenset[Action]] = frozenset({Action.DUMP})

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self._options = HostOptions(**host.settings("qemu"))
        self._monitors: dict[tuple[str, str], Monitor] = {}
        self._incoming: weakref.WeakSet[incoming.QemuIncoming] = weakref.WeakSet()
        self._samples: dict[str, Samples] = collections.defaultdict(Samples)

    async def realize(self, definition: Definition, room: Room) -> Definition:
        """Return the live definition: versions, models and addresses settled."""
        return realize.live(definition, room, await self._probe())

    async def start(self, definition: Definition, room: Room, *, held: bool = False) -> None:
        """Start a live definition as a detached process."""
        files = self._files(definition.name)
        devices = realize.place(definition, room)
        binary = self._options.binary
        command = command_line(definition, files, binary, devices, held=held, incoming=False)
        record = Record(boot_id="", watchdog_action=realize.action(definition))
        await launch(files, command, self._control(definition.name), record)

    async def stop(self, name: str, *, graceful_seconds: float = 0.0) -> None:
        """Ask the guest, then QEMU, then the kernel."""
        await self._monitor(name, "move").aclose()  # or it is lost with the process
        await ending.stop(self._files(name), self._control(name), graceful_seconds)

    async def pause(self, name: str) -> None:
        """Stop the processors."""
        await self._control(name).execute("stop")

    async def resume(self, name: str) -> None:
        """Let a paused domain run."""
        await resuming.resume(self._files(name), self._control(name))

    async def reset(self, name: str) -> None:
        """Press the reset button."""
        await self._control(name).execute("system_reset")

    async def observe(self, name: str) -> Observation:
        """Look at one domain."""
        return await observe.observe(self._files(name), self._control(name))

    async def domains(self) -> Sequence[str]:
        """Return every domain that has a record here."""
        root = self.host.state_directory / "domains"
        return sorted(path.parent.parent.name for path in root.glob("*/qemu/record.json"))

    def events(self, name: str) -> AsyncIterator[Event]:
        """Follow one domain's events."""
        monitor = self._monitor(name, "events")
        return events.follow(self._files(name), monitor, self._samples[name].made)

    async def act(self, name: str, action: Action) -> None:
        """Do what a watchdog's action would do."""
        await actions.act(self._files(name), self._control(name), action)

    async def read_watchdog(self, name: str) -> Reading:
        """Read the card's timer out of the devices' state."""
        return await read(self._files(name), self._control(name), self._samples[name])

    async def free_memory_bytes(self) -> int | None:
        """Return what is available to processes."""
        return await asyncio.to_thread(available_memory_bytes)

    def control(self, name: str, protocol: type) -> object | None:
        """Return the QMP handle."""
        if protocol is not QemuControl:
            return None
        return Control(self._control(name), self._monitor(name, "move"))

    def console(self, name: str) -> Path:
        """Return the socket of the first serial port."""
        return self._files(name).console

    def outgoing(self, definition: Definition, migration: str, peer: str = "") -> Outgoing:
        """Return the source's half of a move."""
        name = definition.name
        monitor = self._monitor(name, "move")
        return outgoing.QemuOutgoing(self._files(name), monitor, definition, peer)

    def incoming(self, name: str, migration: str, peer: str = "") -> Incoming:
        """Return the destination's half of a move."""
        monitor = self._monitor(name, "move")
        made = incoming.QemuIncoming(
            self._files(name), monitor, migration, self._options, self._probe, peer
        )
        self._incoming.add(made)
        return made

    async def aclose(self) -> None:
        """End connections that linger between two steps of a move, and gates that wait."""
        for each in list(self._incoming):
            await each.aclose()
        for monitor in self._monitors.values():
            await monitor.aclose()

    async def _probe(self) -> Capabilities:
        return await probe(self.host, self._options)

    def _files(self, name: str) -> Files:
        return Files(self.host, name)

    def _control(self, name: str) -> Monitor:
        return self._monitor(name, "control")

    def _monitor(self, name: str, which: str) -> Monitor:
        key = (name, which)
        if key not in self._monitors:
            seconds = LINGER_SECONDS if which == "move" else SHORT_LINGER_SECONDS
            self._monitors[key] = Monitor(self._files(name).directory / which, name, seconds)
        return self._monitors[key]

"""The default engine: a hypervisor without hardware, in this process or one beside it."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Sequence
from typing import ClassVar

from domwarden.contract import (
    Action,
    Armed,
    Definition,
    EmbeddedControl,
    EmbeddedHooks,
    Engine,
    EngineError,
    Event,
    Host,
    Observation,
    Reading,
    Room,
    RunState,
    available_memory_bytes,
)
from domwarden.embedded.backend import Backend, LocalBackend
from domwarden.embedded.control import MachineControl
from domwarden.embedded.guest.boot import BootParameters
from domwarden.embedded.guest.layout import LEAST_BYTES
from domwarden.embedded.halves import EmbeddedIncoming, EmbeddedOutgoing
from domwarden.embedded.hypervisor import Hypervisor
from domwarden.embedded.memory import PAGE_BYTES
from domwarden.embedded.schema import HOST_SCHEMA, SCHEMA
from domwarden.embedded.stream.frames import VERSION


class EmbeddedEngine(Engine):
    """With ``hypervisor`` its domains live in that object; without, in a process of the host.

    That process is started when it is first needed, is found again through the host's state
    directory, and ends when it has no domains.
    """

    SCHEMA = SCHEMA
    HOST_SCHEMA = HOST_SCHEMA
    HOOKS = EmbeddedHooks
    DEVICE_HOOK = "attach"
    ACTIONS: ClassVar[frozenset[Action]] = frozenset(Action)

    def __init__(self, host: Host, hypervisor: Hypervisor | None = None) -> None:
        super().__init__(host)
        self.hypervisor = hypervisor
        self._backend: Backend
        if hypervisor is not None:
            self.OUTLIVES = False  # type: ignore[misc]  # a class's promise that this object narrows
            self._backend = LocalBackend(host, hypervisor)
        else:
            from domwarden.embedded.process_backend import ProcessBackend  # only where it is used

            self._backend = ProcessBackend(host)

    async def realize(self, definition: Definition, room: Room) -> Definition:
        """Return the definition with the stream's version; raises EngineError."""
        size = definition.memory_bytes
        if size < LEAST_BYTES or size % PAGE_BYTES:
            raise EngineError(
                f"memory of {size} bytes does not fit an embedded guest",
                hint=f"at least {LEAST_BYTES} bytes, in whole pages of {PAGE_BYTES}",
            )
        try:
            BootParameters.from_mapping(definition.boot)
        except (ValueError, TypeError) as error:
            raise EngineError(str(error)) from error
        live = {"stream": VERSION} | dict(definition.live)
        if live["stream"] != VERSION:
            raise EngineError(
                f"the domain was started with stream version {live['stream']}, "
                f"this host knows {VERSION}"
            )
        return dataclasses.replace(definition, live=live)

    async def start(self, definition: Definition, room: Room, *, held: bool = False) -> None:
        """Start a live definition."""
        arguments = {"name": definition.name, "definition": definition.as_json(), "held": held}
        await self._backend.call("start", arguments, room=room)

    async def stop(self, name: str, *, graceful_seconds: float = 0.0) -> None:
        """End the domain."""
        await self._backend.call(
            "stop",
            {"name": name, "graceful_seconds": graceful_seconds},
            timeout_seconds=graceful_seconds + 10.0,
        )

    async def pause(self, name: str) -> None:
        """Stop its processor; a watchdog on the host's clock runs on."""
        await self._backend.call("pause", {"name": name})

    async def resume(self, name: str) -> None:
        """Let a paused or held domain run."""
        await self._backend.call("resume", {"name": name})

    async def reset(self, name: str) -> None:
        """Press its reset button."""
        await self._backend.call("reset", {"name": name})

    async def observe(self, name: str) -> Observation:
        """Look at it."""
        try:
            seen = await self._backend.call("observe", {"name": name})
        except EngineError as error:
            return Observation(RunState.UNKNOWN, error.message)
        return Observation(RunState(seen["state"]), seen["detail"])

    async def domains(self) -> Sequence[str]:
        """Return the names of all domains here."""
        return list(await self._backend.call("domains", {}))

    def events(self, name: str) -> AsyncIterator[Event]:
        """Follow its events."""
        return self._backend.events(name)

    async def act(self, name: str, action: Action) -> None:
        """Do what a watchdog's action means."""
        await self._backend.call("act", {"name": name, "action": str(action)})

    async def read_watchdog(self, name: str) -> Reading:
        """Read the watchdog's timer."""
        fields = dict(await self._backend.call("read_watchdog", {"name": name}))
        return Reading(armed=Armed(fields.pop("armed")), **fields)

    async def free_memory_bytes(self) -> int | None:
        """Return what is available to processes."""
        return await asyncio.to_thread(available_memory_bytes)

    def control(self, name: str, protocol: type) -> object | None:
        """Return an EmbeddedControl, or None."""
        return MachineControl(self._backend, name) if protocol is EmbeddedControl else None

    def outgoing(self, definition: Definition, migration: str, peer: str = "") -> EmbeddedOutgoing:
        """Return the source's half of a move."""
        return EmbeddedOutgoing(self._backend, definition, migration, peer)

    def incoming(self, name: str, migration: str, peer: str = "") -> EmbeddedIncoming:
        """Return the destination's half of a move."""
        where = str(self.host.settings("embedded").get("listen", ""))
        return EmbeddedIncoming(self._backend, name, migration, peer, where)

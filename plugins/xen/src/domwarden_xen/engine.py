"""The engine: one method a verb, each handed to the module that knows how."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, ClassVar

from domwarden.contract import (
    Action,
    Definition,
    EngineError,
    Event,
    Host,
    Incoming,
    Observation,
    Outgoing,
    Reading,
    Room,
    XenHooks,
)
from domwarden.contract import Engine as EngineContract

from .files import Files
from .schema import HOST_SCHEMA, SCHEMA, HostOptions
from .xl import Xl


class XenEngine(EngineContract):
    """Xen on this host, driven through ``xl``."""

    contract: ClassVar[int] = 1
    SCHEMA: ClassVar[Mapping[Any, Any]] = SCHEMA
    HOST_SCHEMA: ClassVar[Mapping[Any, Any]] = HOST_SCHEMA
    HOOKS: ClassVar[type | None] = XenHooks
    DEVICE_HOOK: ClassVar[str] = "xl_config"

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self._options = HostOptions(**host.settings("xen"))
        self._xl = Xl(self._options.xl)

    async def realize(self, definition: Definition, room: Room) -> Definition:
        """Return the live definition."""
        raise self._not_yet("start")

    async def start(self, definition: Definition, room: Room, *, held: bool = False) -> None:
        """Start a live definition."""
        raise self._not_yet("start")

    async def stop(self, name: str, *, graceful_seconds: float = 0.0) -> None:
        """End the domain."""
        raise self._not_yet("stop")

    async def pause(self, name: str) -> None:
        """Stop the processors."""
        raise self._not_yet("pause")

    async def resume(self, name: str) -> None:
        """Let a paused domain run."""
        raise self._not_yet("resume")

    async def reset(self, name: str) -> None:
        """Press the reset button."""
        raise self._not_yet("reset")

    async def observe(self, name: str) -> Observation:
        """Look at one domain."""
        return Observation()

    async def domains(self) -> Sequence[str]:
        """Return every domain that has a record here."""
        root = self.host.state_directory / "domains"
        return sorted(path.parent.parent.name for path in root.glob("*/xen/record.json"))

    def events(self, name: str) -> AsyncIterator[Event]:
        """Follow one domain's events."""
        raise self._not_yet("events")

    async def act(self, name: str, action: Action) -> None:
        """Do what a watchdog's action would do."""
        raise self._not_yet("act")

    async def read_watchdog(self, name: str) -> Reading:
        """Read the watchdog's timer."""
        return Reading()

    def control(self, name: str, protocol: type) -> object | None:
        """Return None: xl has no connection that a device could speak on."""
        return None

    def outgoing(self, definition: Definition, migration: str) -> Outgoing:
        """Return the source's half of a move."""
        raise self._not_yet("moving")

    def incoming(self, name: str, migration: str) -> Incoming:
        """Return the destination's half of a move."""
        raise self._not_yet("moving")

    def _files(self, name: str) -> Files:
        return Files(self.host, name)

    @staticmethod
    def _not_yet(what: str) -> EngineError:
        return EngineError(f"the xen engine cannot do this yet: {what}")

"""How an engine reaches its hypervisor: in this process, or in one of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol

from domwarden.contract import Event, Host, Room
from domwarden.embedded.hypervisor import Hypervisor
from domwarden.embedded.service import Call, Note, Service


def no_note(_note: Mapping[str, Any]) -> None:
    """Drop what an operation says on its way."""


class Backend(Protocol):
    """Carries calls of one host to its hypervisor."""

    async def call(
        self,
        method: str,
        arguments: Mapping[str, Any],
        *,
        room: Room | None = None,
        note: Note = no_note,
        timeout_seconds: float = 10.0,
    ) -> Any:
        """Carry out one operation; raises EngineError, or OutcomeUnknownError without an answer."""

    def events(self, name: str) -> AsyncIterator[Event]:
        """Follow a domain's events until GONE."""


class LocalBackend:
    """A hypervisor object in this process."""

    def __init__(self, host: Host, hypervisor: Hypervisor) -> None:
        self._host = host
        self._service = Service(hypervisor)

    async def call(
        self,
        method: str,
        arguments: Mapping[str, Any],
        *,
        room: Room | None = None,
        note: Note = no_note,
        timeout_seconds: float = 10.0,
    ) -> Any:
        """Call the hypervisor; what takes time in it is bounded there."""

        def make_room(_definition: object, _host: object) -> Room:
            assert room is not None  # the engine passes one wherever devices are made
            return room

        return await self._service.call(Call(self._host, method, arguments, note, make_room))

    def events(self, name: str) -> AsyncIterator[Event]:
        """Listen from this moment on."""
        return self._service.hypervisor.events(self._host, name)

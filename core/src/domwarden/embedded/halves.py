"""The two halves of a move, as its engine hands them out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from domwarden.contract import (
    Address,
    Definition,
    Incoming,
    OnProgress,
    Outgoing,
    Progress,
    Refusal,
    Room,
)
from domwarden.embedded.backend import Backend

#: What the hypervisor's own time-out needs to be reported.
_GRACE_SECONDS = 5.0
#: The longest wait for a stream whose definition was never seen by this object.
_RECEIVE_SECONDS = 120.0


def _absolute(address: Address) -> dict[str, Any]:
    """Name a file so that a process with another working directory finds it."""
    if "file" in address:
        return {"file": str(Path(address["file"]).absolute())}
    return dict(address)


def _noted(progress: OnProgress) -> Callable[[Mapping[str, Any]], None]:
    return lambda note: progress(Progress(**note["progress"]))


class EmbeddedOutgoing(Outgoing):
    """The source's half."""

    def __init__(self, backend: Backend, definition: Definition, migration: str, peer: str) -> None:
        self._backend = backend
        self._peer = peer
        self._definition = definition
        self._names = {"name": definition.name, "migration": migration}
        self._limit_seconds = definition.migration.timeout_seconds + _GRACE_SECONDS

    async def blockers(self) -> Sequence[Refusal]:
        """A domain that is not here cannot move; nothing else blocks an embedded machine."""
        found = await self._backend.call("blockers", self._names)
        return [Refusal.from_json(refusal) for refusal in found]

    async def precopy(self, address: Address, progress: OnProgress) -> None:
        """Copy the running domain."""
        given = {
            "definition": self._definition.as_json(),
            "address": _absolute(address),
            "peer": self._peer,
        }
        await self._backend.call(
            "precopy",
            self._names | given,
            note=_noted(progress),
            timeout_seconds=self._limit_seconds,
        )

    async def suspend(self) -> None:
        """Suspend it."""
        await self._backend.call("suspend", self._names)

    async def complete(self, progress: OnProgress) -> None:
        """Send the rest."""
        await self._backend.call(
            "complete", self._names, note=_noted(progress), timeout_seconds=self._limit_seconds
        )

    async def downtime_seconds(self) -> float | None:
        """Ask the hypervisor."""
        seconds: float | None = await self._backend.call("downtime", self._names)
        return seconds

    async def abort(self, *, resume: bool) -> None:
        """Give up."""
        await self._backend.call("abort", self._names | {"resume": resume})


class EmbeddedIncoming(Incoming):
    """The destination's half."""

    def __init__(
        self, backend: Backend, name: str, migration: str, peer: str, arrives_at: str
    ) -> None:
        self._backend = backend
        self._peer = peer
        self._arrives_at = arrives_at
        self._names = {"name": name, "migration": migration}
        self._limit_seconds = _RECEIVE_SECONDS

    @property
    def arrives_at(self) -> str:
        """The address in the host file."""
        return self._arrives_at

    async def listen(
        self, definition: Definition, room: Room, source: Address | None = None
    ) -> Address:
        """Create the held copy."""
        self._limit_seconds = definition.migration.timeout_seconds
        given = {
            "definition": definition.as_json(),
            "source": None if source is None else _absolute(source),
            "peer": self._peer,
        }
        address: Address = await self._backend.call("listen", self._names | given, room=room)
        return address

    async def received(self) -> None:
        """Wait for the whole stream."""
        await self._backend.call(
            "received",
            self._names | {"timeout_seconds": self._limit_seconds},
            timeout_seconds=self._limit_seconds + _GRACE_SECONDS,
        )

    async def activate(self, *, run: bool) -> None:
        """Take it over."""
        await self._backend.call("activate", self._names | {"run": run})

    async def discard(self) -> None:
        """Destroy it."""
        await self._backend.call("discard", self._names)

"""An engine's way to the hypervisor in a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

from domwarden.contract import (
    EngineError,
    Event,
    EventKind,
    Host,
    Observation,
    OutcomeUnknownError,
    Room,
    RunState,
)
from domwarden.embedded import wire
from domwarden.embedded.backend import no_note
from domwarden.embedded.launch import launch
from domwarden.embedded.process_service import LOST
from domwarden.embedded.remains import forget_domain, read_remains
from domwarden.embedded.service import Note
from domwarden.embedded.sockets import reach_unix

#: Connecting and the greeting; a process that does not greet for so long is stopped or hangs.
GREETING_SECONDS = 5.0
#: How long a process stays without domains, unless the host file says otherwise.
IDLE_SECONDS = 30.0
_ATTEMPTS = 3
_LAUNCHING = ("start", "listen")


class _AbsentError(Exception):
    """No process listens, or it was about to end: nothing was done."""


class ProcessBackend:
    """One connection a call; only what makes a domain starts the process."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._idle_seconds = float(host.settings("embedded").get("idle", IDLE_SECONDS))

    async def call(
        self,
        method: str,
        arguments: Mapping[str, Any],
        *,
        room: Room | None = None,
        note: Note = no_note,
        timeout_seconds: float = 10.0,
    ) -> Any:
        """Carry out one operation; the process makes the devices itself, from the definition."""
        for _ in range(_ATTEMPTS):
            if method in _LAUNCHING:
                await asyncio.to_thread(launch, self._host.state_directory, self._idle_seconds)
            try:
                async with asyncio.timeout(timeout_seconds):
                    async with self._connection() as (reader, writer):
                        writer.write(self._request(method, arguments))
                        return await self._result(method, reader, note)
            except _AbsentError:
                if method not in _LAUNCHING:
                    return await asyncio.to_thread(self._without_process, method, arguments)
            except TimeoutError:
                raise OutcomeUnknownError(
                    f"the embedded hypervisor did not answer within {timeout_seconds:g} s",
                    command=method,
                ) from None
            except (OSError, ValueError) as error:
                raise OutcomeUnknownError(
                    f"the connection to the embedded hypervisor broke: {error}", command=method
                ) from error
        raise EngineError("the embedded hypervisor ends as soon as it is started", command=method)

    async def events(self, name: str) -> AsyncIterator[Event]:
        """Listen from the first step of the iteration on."""
        try:
            async with self._connection() as (reader, writer):
                writer.write(self._request("events", {"name": name}))
                async for message in _messages(reader):
                    if "error" in message:
                        raise wire.error_from_json(message["error"])
                    if "note" in message:
                        data = dict(message["note"]["event"])
                        event = Event(EventKind(data.pop("kind")), **data)
                        yield event
                        if event.kind is EventKind.GONE:
                            return
        except (_AbsentError, OSError):
            pass
        yield Event(EventKind.GONE, 0.0, {"detail": "the hypervisor's process is gone"})

    @contextlib.asynccontextmanager
    async def _connection(
        self,
    ) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        path = wire.socket_path(self._host.state_directory)
        try:
            sock = await reach_unix(path)
        except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
            raise _AbsentError from None
        reader, writer = await asyncio.open_unix_connection(sock=sock, limit=wire.LIMIT_BYTES)
        try:
            greeting = await _greeting(reader)
            if json.loads(greeting) != wire.GREETING:
                raise EngineError(
                    "the embedded hypervisor's process is of another version",
                    hint="stop its domains, then start them again",
                )
            yield reader, writer
        finally:
            writer.close()

    def _request(self, method: str, arguments: Mapping[str, Any]) -> bytes:
        host = self._host.as_json()
        return wire.line({"host": host, "method": method, "arguments": dict(arguments)})

    async def _result(self, method: str, reader: asyncio.StreamReader, note: Note) -> Any:
        async for message in _messages(reader):
            if "error" in message:
                raise wire.error_from_json(message["error"])
            if "result" in message:
                return message["result"]
            note(message["note"])
        raise OutcomeUnknownError("the embedded hypervisor ended without an answer", command=method)

    def _without_process(self, method: str, arguments: Mapping[str, Any]) -> Any:
        """Answer from what a dead process left; its domains died with it."""
        remains = read_remains(self._host.state_directory)
        name = str(arguments.get("name", ""))
        if method == "domains":
            return sorted(remains)
        if method == "observe":
            seen = LOST if name in remains else Observation(RunState.ABSENT)
            return dataclasses.asdict(seen)
        if method in ("stop", "discard"):
            forget_domain(self._host.state_directory, name)
            return None
        raise EngineError(f"no domain {name!r} on host {self._host.name!r}", command=method)


async def _greeting(reader: asyncio.StreamReader) -> bytes:
    try:
        async with asyncio.timeout(GREETING_SECONDS):
            greeting = await reader.readline()
    except ConnectionResetError:
        raise _AbsentError from None
    if not greeting:
        raise _AbsentError
    return greeting


async def _messages(reader: asyncio.StreamReader) -> AsyncIterator[Mapping[str, Any]]:
    while raw := await reader.readline():
        yield json.loads(raw)

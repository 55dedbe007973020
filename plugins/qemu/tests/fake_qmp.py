"""A QMP server on a real Unix socket, as scripted as a test wants it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

GREETING = {
    "QMP": {
        "version": {"qemu": {"major": 7, "minor": 2, "micro": 22}, "package": ""},
        "capabilities": ["oob"],
    }
}


class Silence:
    """An answer that never comes."""


class HangUp:
    """The connection ends instead of an answer."""


class Refuse:
    """An error of QEMU's."""

    def __init__(self, text: str) -> None:
        self.text = text


Answer = Any | Callable[[Mapping[str, Any]], Any]


class FakeQmp:
    """Answers commands from a table; what is not in it is answered with ``{}``.

    A list in the table is used up one by one, and its last entry stays.  A callable is called with
    the command's arguments.
    """

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        #: Every command in order, with its arguments and whether it came out of band.
        self.heard: list[tuple[str, dict[str, Any], bool]] = []
        self.connections = 0
        self.greets = True
        #: Sent once before a greeting: what the client before this one did not wait for.
        self.leftover: list[dict[str, Any]] = []
        #: Sent between a command's arrival and its answer, by command.
        self.before: dict[str, list[dict[str, Any]]] = {}
        self._writers: set[asyncio.StreamWriter] = set()
        self._changed = asyncio.Event()

    @contextlib.asynccontextmanager
    async def serve(self, path: Path) -> AsyncIterator[FakeQmp]:
        """Listen while the context lasts."""
        server = await asyncio.start_unix_server(self._client, path)
        try:
            yield self
        finally:
            server.close()
            self.hang_up()
            await server.wait_closed()

    def commands(self) -> list[str]:
        """Return the names of what was heard, without the negotiation."""
        return [name for name, _arguments, _oob in self.heard if name != "qmp_capabilities"]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something that was heard makes the condition true."""
        while not condition():
            self._changed.clear()
            await self._changed.wait()

    def emit(self, event: str, **data: Any) -> None:
        """Send an event to every client."""
        for writer in self._writers:
            _send(writer, message(event, **data))

    def hang_up(self) -> None:
        """End every connection."""
        for writer in list(self._writers):
            writer.close()

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        self.connections += 1
        self._changed.set()
        try:
            while self.leftover:
                _send(writer, self.leftover.pop(0))
            if self.greets:
                _send(writer, GREETING)
            await self._listen(reader, writer)
        except ConnectionError:
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _listen(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A client ends its messages with nothing: they are told apart by parsing.
        decoder, text = json.JSONDecoder(), ""
        while chunk := await reader.read(65536):
            text += chunk.decode()
            while text := text.lstrip():
                try:
                    command, end = decoder.raw_decode(text)
                except ValueError:
                    break
                text = text[end:]
                if not self._answer(command, writer):
                    return

    def _answer(self, command: Mapping[str, Any], writer: asyncio.StreamWriter) -> bool:
        name = command.get("execute") or command["exec-oob"]
        arguments = command.get("arguments", {})
        self.heard.append((name, arguments, "exec-oob" in command))
        self._changed.set()
        for event in self.before.get(name, ()):
            _send(writer, event)
        answer = self.answers.get(name, {})
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if callable(answer) and not isinstance(answer, type):
            answer = answer(arguments)
        if answer is HangUp:
            return False
        if isinstance(answer, Refuse):
            error = {"class": "GenericError", "desc": answer.text}
            _send(writer, {"error": error, "id": command["id"]})
        elif answer is not Silence:
            reply = {"return": answer}
            _send(writer, reply | ({"id": command["id"]} if "id" in command else {}))
        return True


def message(event: str, *, seconds: int = 1_700_000_000, **data: Any) -> dict[str, Any]:
    """Return an event as QEMU sends it."""
    return {"event": event, "data": data, "timestamp": {"seconds": seconds, "microseconds": 5}}


def _send(writer: asyncio.StreamWriter, data: Mapping[str, Any]) -> None:
    if not writer.is_closing():
        writer.write(json.dumps(data).encode() + b"\r\n")

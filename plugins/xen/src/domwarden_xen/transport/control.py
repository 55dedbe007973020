"""The Unix socket on which a shim is told what to do: a line of JSON each way."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from .loop import READ, WRITE, Loop

#: A command is far shorter.
_LINE_LIMIT_BYTES = 64 * 1024
_LONGEST_WAIT_SECONDS = 60.0


class Control:
    """Listens for commands; ``wait`` is answered when something has changed."""

    def __init__(
        self,
        loop: Loop,
        path: Path,
        perform: Callable[[str], None],
        state: Callable[[], dict[str, Any]],
    ) -> None:
        self._loop = loop
        self._perform = perform
        self._state = state
        self._waiting: list[tuple[socket.socket, Mapping[str, Any], float]] = []
        self._path = path
        path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.setblocking(False)
        mask = os.umask(0o177)
        try:
            # Relative to its folder: an absolute path may be longer than sun_path.
            directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                self._socket.bind(f"/proc/self/fd/{directory}/{path.name}")
            finally:
                os.close(directory)
        finally:
            os.umask(mask)
        self._socket.listen(8)
        loop.want(self._socket.fileno(), READ, self._accept)

    @property
    def idle(self) -> bool:
        """Whether nobody waits for an answer."""
        return not self._waiting

    def close(self) -> None:
        """Stop listening."""
        self._loop.want(self._socket.fileno(), READ, None)
        self._socket.close()
        self._path.unlink(missing_ok=True)

    def tell(self) -> None:
        """Answer those whose waiting is over; call it after each turn of the loop."""
        state: dict[str, Any] | None = None
        still = []
        for client, request, until in self._waiting:
            state = state or self._state()
            if time.monotonic() < until and _unchanged(request, state):
                still.append((client, request, until))
            else:
                self._answer(client, state)
        self._waiting = still

    def _accept(self) -> None:
        client, _ = self._socket.accept()
        client.setblocking(False)
        buffer = bytearray()
        self._loop.want(client.fileno(), READ, lambda: self._read(client, buffer))

    def _read(self, client: socket.socket, buffer: bytearray) -> None:
        try:
            data = client.recv(_LINE_LIMIT_BYTES)
        except OSError:
            data = b""
        buffer += data
        line, end, _ = buffer.partition(b"\n")
        if not end:
            if not data or len(buffer) > _LINE_LIMIT_BYTES:
                self._drop(client)
            return
        self._loop.want(client.fileno(), READ, None)
        try:
            request = json.loads(line)
            verb = str(request["do"])
            if verb != "wait":
                self._perform(verb)
        except (ValueError, KeyError, TypeError) as error:
            self._answer(client, {"error": f"{type(error).__name__}: {error}"})
            return
        if verb == "wait":
            seconds = min(float(request.get("seconds", 0.0)), _LONGEST_WAIT_SECONDS)
            self._waiting.append((client, request, time.monotonic() + seconds))
        else:
            self._answer(client, self._state())

    def _answer(self, client: socket.socket, answer: Mapping[str, Any]) -> None:
        try:
            client.send(json.dumps(answer).encode() + b"\n")  # small: it fits an empty buffer
        except OSError:
            pass  # who asked has gone
        self._drop(client)

    def _drop(self, client: socket.socket) -> None:
        self._loop.want(client.fileno(), READ, None)
        self._loop.want(client.fileno(), WRITE, None)
        client.close()


def _unchanged(request: Mapping[str, Any], state: Mapping[str, Any]) -> bool:
    """Say whether the state is still what the client wants to see the end of."""
    phases: Collection[str] = request.get("while", ())
    return state["phase"] in phases and state["problem"] == request.get("problem", "")

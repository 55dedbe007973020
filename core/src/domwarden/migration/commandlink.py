"""The way to a peer that a command reaches: its ``domwarden peer`` on the other end of a pipe."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from typing import IO, Any

from domwarden.contract import PermanentError, TransientError
from domwarden.migration import wire
from domwarden.migration.conversation import Conversation
from domwarden.migration.link import Link, Message
from domwarden.migration.moments import Observer

#: How long the command may take until the peer greets: a login, and Python on a busy host.
START_SECONDS = 60.0
#: How long a peer may take to end by itself.
CLOSE_SECONDS = 10.0
_KILL_SECONDS = 2.0
_READ_BYTES = 4096


class CommandLink(Link):
    """Starts the command with the first message, and again with the next one after it ended.

    The command is a list of words and is run without a shell, in a session of its own: a terminal's
    interrupt does not reach it, and it asks nobody for a password.
    """

    def __init__(self, peer: str, command: Sequence[str], observer: Observer) -> None:
        self._peer = peer
        self._command = tuple(command)
        self._observer = observer
        self._connecting = asyncio.Lock()
        self._process: _Process | None = None
        self._conversation: Conversation | None = None

    async def send(self, message: Message) -> Mapping[str, Any]:
        """Have the peer do it; raises also TransientError for a peer that cannot be reached."""
        return await (await self._connected()).ask(message)

    def forget(self, migration: str) -> None:
        """Let the peer's end of a move go."""
        if self._conversation is not None:
            self._conversation.forget(migration)

    async def aclose(self) -> None:
        """End the conversation; a peer that does not end by itself is ended."""
        conversation, self._conversation = self._conversation, None
        process, self._process = self._process, None
        if conversation is not None:
            await conversation.aclose()
        if process is not None:
            await process.end(CLOSE_SECONDS)

    async def _connected(self) -> Conversation:
        async with self._connecting:
            if self._conversation is None or self._conversation.ended:
                await self._drop()
                self._conversation = await self._connect()
            return self._conversation

    async def _drop(self) -> None:
        """End what hangs: it may hold a domain's lock over there."""
        conversation, self._conversation = self._conversation, None
        process, self._process = self._process, None
        if conversation is not None:
            await conversation.aclose()
        if process is not None:
            await process.end(_KILL_SECONDS)

    async def _connect(self) -> Conversation:
        process = await _Process.start(self._peer, self._command)
        try:
            said = await wire.read(process.reader, START_SECONDS)
            if said is None:
                raise TransientError(
                    f"{self._peer} cannot be reached: {await process.last_words()}",
                    hint=f"try it by hand: {' '.join(self._command)}",
                )
            wire.check_greeting(said, self._peer)
        except (TimeoutError, wire.FrameError) as error:
            await process.end(0.0)
            why = str(error) or f"no greeting in {START_SECONDS:g} s"
            raise TransientError(
                f"{self._peer} cannot be reached: {why}",
                hint=f"try it by hand: {' '.join(self._command)}",
            ) from error
        except BaseException:
            await process.end(0.0)
            raise
        self._process = process
        return Conversation(self._peer, process.reader, process.writer, self._observer)


class _Process:
    """The command: one socket is both its input and its output, a file takes what it complains."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        complaints: IO[bytes],
    ) -> None:
        self._process = process
        self._complaints = complaints
        self.reader = reader
        self.writer = writer

    @classmethod
    async def start(cls, peer: str, command: Sequence[str]) -> _Process:
        """Start it; raises PermanentError for a program that is not there."""
        ours, theirs = socket.socketpair()
        complaints = await asyncio.to_thread(tempfile.TemporaryFile)
        try:
            # Not by asyncio: its transport would kill the process when it goes, and a peer that was
            # left with an unfinished move goes on to settle it.
            process = await asyncio.to_thread(_spawn, command, theirs, complaints)
        except OSError as error:
            ours.close()
            complaints.close()
            raise PermanentError(
                f"{peer} cannot be reached: {command[0]}: {error.strerror}",
                hint="correct the peer's command in the host file",
            ) from error
        finally:
            theirs.close()
        reader, writer = await asyncio.open_connection(sock=ours, limit=wire.LIMIT_BYTES)
        return cls(process, reader, writer, complaints)

    async def last_words(self) -> str:
        """Return what the command said last before it ended."""
        status = await self._ended(_KILL_SECONDS)
        text = await asyncio.to_thread(self._read_complaints)
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return "; ".join(lines[-2:]) or f"its command ended with status {status}"

    def _read_complaints(self) -> str:
        size = self._complaints.seek(0, os.SEEK_END)
        self._complaints.seek(max(0, size - _READ_BYTES))
        return self._complaints.read().decode(errors="replace")

    async def end(self, patience_seconds: float) -> None:
        """Close its input and wait for the end of its output, else end it."""
        with contextlib.suppress(OSError):
            self.writer.write_eof()
        try:
            async with asyncio.timeout(patience_seconds):
                while await self.reader.read(65536):
                    pass
        except (TimeoutError, OSError):
            self._process.terminate()
            if await self._ended(_KILL_SECONDS) is None:
                self._process.kill()
        self.writer.close()
        if await self._ended(_KILL_SECONDS) is None:
            # It closed its output and goes on by itself, as a peer does that has a move to settle.
            self._process.returncode = 0
        self._complaints.close()

    async def _ended(self, seconds: float) -> int | None:
        try:
            return await asyncio.to_thread(self._process.wait, seconds)
        except subprocess.TimeoutExpired:
            return None


def _spawn(
    command: Sequence[str], both: socket.socket, complaints: IO[bytes]
) -> subprocess.Popen[bytes]:
    end = both.fileno()
    return subprocess.Popen(
        command, stdin=end, stdout=end, stderr=complaints, start_new_session=True
    )

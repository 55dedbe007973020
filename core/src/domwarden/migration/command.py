"""A command that was started to reach a peer, with the stream that leads there."""

from __future__ import annotations

import abc
import asyncio
import contextlib
import os
import socket
import subprocess
import tempfile
from collections.abc import Sequence
from typing import IO

from domwarden.contract import PermanentError
from domwarden.migration import wire

KILL_SECONDS = 2.0
_READ_BYTES = 4096


class Reached(abc.ABC):
    """A stream to a peer, and whatever keeps it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    #: What to do about a peer that does not answer on it.
    remedy: str = ""

    @abc.abstractmethod
    async def last_words(self) -> str:
        """Say why the stream ended."""

    @abc.abstractmethod
    async def end(self, patience_seconds: float) -> None:
        """Tell the peer that nothing more comes, and wait so long for the end of what it says."""


class Command(Reached):
    """The command: one socket is both its input and its output, a file takes what it complains.

    It is a list of words and is run without a shell, in a session of its own: a terminal's
    interrupt does not reach it, and it asks nobody for a password.
    """

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        complaints: IO[bytes],
        remedy: str,
    ) -> None:
        self._process = process
        self._complaints = complaints
        self.remedy = remedy
        self.reader = reader
        self.writer = writer

    @classmethod
    async def start(cls, peer: str, command: Sequence[str]) -> Reached:
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
        return cls(process, reader, writer, complaints, f"try it by hand: {' '.join(command)}")

    async def last_words(self) -> str:
        """Return what the command said last before it ended."""
        status = await self._ended(KILL_SECONDS)
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
            if await self._ended(KILL_SECONDS) is None:
                self._process.kill()
        self.writer.close()
        if await self._ended(KILL_SECONDS) is None:
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

"""Speaks with the test guest's shell over its serial console."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from domwarden.testing.evidence import evidence

_REMEMBERED_LINES = 400
#: How long the answer to the first ping is awaited; for one that answers later, ever longer.
_PING_SECONDS = 0.5
_LONGEST_PING_SECONDS = 5.0
_SEND_SECONDS = 5.0
_tokens = itertools.count(1)


class GuestError(Exception):
    """The guest answered a command with `err`; the message is the rest of its answer."""


async def _open(path: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    while True:
        try:
            return await asyncio.open_unix_connection(path)
        except (FileNotFoundError, ConnectionRefusedError):
            await asyncio.sleep(0.02)


@dataclass(frozen=True)
class Count:
    """One line of the guest's counter, and when it arrived here."""

    number: int
    #: time.monotonic() of this process
    seconds: float


@dataclass
class Console:
    """One connection to a serial console; `async with await Console.connect(path)` closes it.

    Every answer is awaited in order, so one task at a time may give commands. Lines of the counter
    may arrive at any moment and are kept in `counts`.
    """

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    counts: list[Count] = field(default_factory=list)
    #: The last lines of all kinds, for a failing test's message.
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=_REMEMBERED_LINES))
    _answers: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    _counted: asyncio.Event = field(default_factory=asyncio.Event)
    _task: asyncio.Task[None] | None = None
    _in_step: bool = False
    #: The socket, where there is one: its surroundings are told when something fails.
    _path: Path | None = None

    @classmethod
    async def connect(cls, path: Path, *, timeout_seconds: float = 10.0) -> Self:
        """Connect as soon as QEMU listens on `path`.

        Raises TimeoutError when it does not within the time-out; like every error of a console, it
        tells whether QEMU lives, and what it said last.
        """
        try:
            async with asyncio.timeout(timeout_seconds):
                console = cls.over(*await _open(path))
        except TimeoutError:
            seen = await asyncio.to_thread(evidence, path)
            message = f"nobody listened at {path} within {timeout_seconds} s\n{seen}"
            raise TimeoutError(message) from None
        console._path = path
        return console

    @classmethod
    def over(cls, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Self:
        """Return the console at the other end of a connection that is open already."""
        console = cls(reader, writer)
        console._task = asyncio.create_task(console._read(), name="console")
        return console

    async def wait_ready(self, *, timeout_seconds: float = 60.0) -> None:
        """Wait until the guest's shell answers, however often it was restarted before.

        Raises TimeoutError with the console's last lines.
        """
        try:
            async with asyncio.timeout(timeout_seconds):
                patience_seconds = _PING_SECONDS
                while not await self._ping(patience_seconds):
                    patience_seconds = min(patience_seconds * 1.5, _LONGEST_PING_SECONDS)
        except TimeoutError:
            message = f"the guest did not answer within {timeout_seconds} s"
            raise TimeoutError(await self._told(message)) from None

    async def command(self, line: str, *, timeout_seconds: float = 15.0) -> str:
        """Give a command; return what follows `ok` in its answer.

        Raises GuestError for `err`, TimeoutError when no answer comes, ConnectionError when QEMU
        ended. After a time-out the next command first waits for the guest to be in step again.
        """
        if not self._in_step:
            await self.wait_ready(timeout_seconds=timeout_seconds)
        self._in_step = False
        await self._send(line)
        try:
            async with asyncio.timeout(timeout_seconds):
                kind, _, rest = (await self._answer()).partition(" ")
        except TimeoutError:
            message = f"no answer to {line!r} within {timeout_seconds} s"
            raise TimeoutError(await self._told(message)) from None
        self._in_step = True
        if kind == "err":
            raise GuestError(rest)
        return rest

    async def alive(self, *, timeout_seconds: float = 2.0) -> bool:
        """Say whether the guest's shell answers within the time-out."""
        try:
            await self.wait_ready(timeout_seconds=timeout_seconds)
        except TimeoutError:
            self._in_step = False
            return False
        return True

    async def wait_count(self, number: int, *, timeout_seconds: float = 10.0) -> Count:
        """Wait for the counter to reach `number`; return the first line that did.

        Raises TimeoutError, and ConnectionError when QEMU ended.
        """
        try:
            async with asyncio.timeout(timeout_seconds):
                while not (reached := [each for each in self.counts if each.number >= number]):
                    self._counted.clear()
                    if self._task is None or self._task.done():
                        raise ConnectionError(await self._told("the console was closed"))
                    await self._counted.wait()
        except TimeoutError:
            message = f"the guest did not count to {number} within {timeout_seconds} s"
            raise TimeoutError(await self._told(message)) from None
        return reached[0]

    def longest_gap_seconds(self) -> float:
        """Return the longest time between two lines of the counter; 0.0 with less than two."""
        times = [count.seconds for count in self.counts]
        return max((after - before for before, after in itertools.pairwise(times)), default=0.0)

    def tail(self) -> str:
        """Return the last thirty lines that the console showed."""
        return "\n".join(list(self.lines)[-30:])

    async def wait_closed(self) -> None:
        """Return once QEMU has ended, or this connection."""
        if self._task is not None:
            await asyncio.wait({self._task})

    async def close(self) -> None:
        """Close the connection; the guest does not notice."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task], timeout=5)
        self.writer.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _ping(self, patience_seconds: float) -> bool:
        """Send one numbered ping; its own answer puts both ends in step, all others are old."""
        token = f"{id(self):x}-{next(_tokens)}"
        await self._send(f"ping {token}")
        try:
            async with asyncio.timeout(patience_seconds):
                while await self._answer() != f"ok pong {token}":
                    pass
        except TimeoutError:
            return False
        self._in_step = True
        return True

    async def _told(self, message: str) -> str:
        """Add what the console showed last, and how QEMU is."""
        seen = await asyncio.to_thread(evidence, self._path) if self._path else ""
        return f"{message}; the console ends with:\n{self.tail()}\n{seen}"

    async def _send(self, line: str) -> None:
        self.writer.write(line.encode() + b"\n")
        try:
            async with asyncio.timeout(_SEND_SECONDS):
                await self.writer.drain()
        except TimeoutError:
            message = f"nobody read {line!r} within {_SEND_SECONDS} s"
            raise TimeoutError(await self._told(message)) from None
        except ConnectionError as error:
            raise ConnectionError(await self._told(f"the console was closed: {error}")) from None

    async def _answer(self) -> str:
        """Return the next answer; an empty one stands for the end of the console."""
        answer = await self._answers.get()
        if not answer:
            self._answers.put_nowait("")  # for whoever asks next
            raise ConnectionError(await self._told("the console was closed"))
        return answer

    async def _read(self) -> None:
        try:
            # A line without an end is one that a move cut in two.
            while (data := await self.reader.readline()).endswith(b"\n"):
                self._take(data.decode(errors="replace").strip("\r\n"))
        except ConnectionError:
            pass  # the same as the end of the file: QEMU has gone
        finally:
            self._answers.put_nowait("")
            self._counted.set()

    def _take(self, line: str) -> None:
        self.lines.append(line)
        kind, _, rest = line.partition(" ")
        if kind == "count" and rest.isdigit():
            self.counts.append(Count(int(rest), time.monotonic()))
            self._counted.set()
        elif kind in ("ok", "err"):
            self._answers.put_nowait(line)
        elif line == "guest: ready":
            self._in_step = False  # a new shell: answers of the one before it may be missing

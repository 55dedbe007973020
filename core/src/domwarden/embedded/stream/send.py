"""The source's half of a stream."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from domwarden.contract import (
    EngineError,
    MigrationSettings,
    OnProgress,
    OutcomeUnknownError,
    Progress,
    RunState,
)
from domwarden.embedded.clock import NS, Clock
from domwarden.embedded.machine import EmbeddedMachine
from domwarden.embedded.memory import PAGE_BYTES
from domwarden.embedded.stream.channel import Channel
from domwarden.embedded.stream.frames import (
    PAGES_A_FRAME,
    FrameReader,
    FrameType,
    FrameWriter,
    StreamError,
    pack_pages,
    pack_section,
)

MAX_ITERATIONS = 100
#: A debt of time this large is paid to the bandwidth limit.
_PAY_SECONDS = 0.002
_ZERO_PAGE = bytes(PAGE_BYTES)


class Sending:
    """One outgoing move of one machine: pre-copy, then the rest while it is suspended."""

    def __init__(
        self, machine: EmbeddedMachine, clock: Clock, migration: str, settings: MigrationSettings
    ) -> None:
        self.migration = migration
        #: When the machine was suspended, on the host's clock.
        self.suspended_ns: int | None = None
        #: From then until the whole stream was over there.
        self.downtime_seconds: float | None = None
        #: Whether the guest ran when its move began.
        self.ran = False
        self._machine = machine
        self._clock = clock
        self._settings = settings
        self._channel: Channel | None = None
        self._writer: FrameWriter | None = None
        self._closed = False
        self._answers: asyncio.Task[FrameType] | None = None
        self._iteration = 0
        self._pages = 0
        self._sent_bytes = 0
        self._spent_seconds = 0.0
        self._debt_seconds = 0.0
        self._pending: set[int] = set()
        self._dirty_rate: float | None = None

    async def precopy(
        self, connect: Callable[[float], Awaitable[Channel]], progress: OnProgress
    ) -> None:
        """Copy until the rest fits into the downtime limit; raises EngineError."""
        limit = self._settings.timeout_seconds
        try:
            async with asyncio.timeout(limit):
                await self._open(connect, limit)
                await self._converge(progress)
        except TimeoutError:
            self.close()
            raise EngineError(
                f"pre-copy did not end within {limit:g} s",
                hint="look after the destination, or raise migration.timeout or bandwidth",
            ) from None
        except (OSError, StreamError) as error:
            self.close()
            raise EngineError(f"the stream broke during pre-copy: {error}") from error
        except BaseException:
            self.close()
            raise

    async def complete(self, progress: OnProgress) -> None:
        """Send the rest of a suspended machine.

        Raises EngineError when the destination said no or never heard the end, and
        OutcomeUnknownError when it heard the end and did not answer: it may hold a whole copy.
        """
        if self._writer is None or self._channel is None or self._closed:
            raise EngineError("there is no stream to complete", hint="abort the move")
        told_end = False
        try:
            async with asyncio.timeout(self._settings.timeout_seconds):
                self._pending |= self._machine.memory.take_dirty()
                await self._send_pages(progress)
                for name, (save, _) in self._machine.sections.items():
                    payload = pack_section(name, save())
                    self._count(await self._writer.write(FrameType.SECTION, payload))
                await self._pay(everything=True)
                told_end = True
                sections = len(self._machine.sections)
                end = {"pages": self._pages, "sections": sections}
                await self._writer.write_json(FrameType.END, end)
                await self._channel.settle()
                if self._channel.answers:
                    await self._answered(FrameType.RECEIVED)
        except (OSError, StreamError, TimeoutError) as error:
            self.close()
            what = str(error) or "the destination did not answer in time"
            kind = OutcomeUnknownError if told_end else EngineError
            raise kind(f"the stream broke while the domain was suspended: {what}") from error
        except BaseException:
            self.close()
            raise
        self.close()
        self._machine.become(RunState.DEPARTED, "migrated")
        progress(self._progress())
        if self.suspended_ns is not None:
            self.downtime_seconds = (self._clock.now_ns() - self.suspended_ns) / NS

    def close(self) -> None:
        """Drop the connection; idempotent."""
        if self._answers is not None:
            self._answers.cancel()
            self._answers = None
        if self._channel is not None:
            self._channel.close()
        self._closed = True

    async def _open(
        self, connect: Callable[[float], Awaitable[Channel]], limit_seconds: float
    ) -> None:
        self._channel = await connect(limit_seconds)
        self._writer = FrameWriter(self._channel.send)
        await self._writer.open()
        definition = self._machine.definition
        hello = {
            "domain": definition.name,
            "uuid": definition.uuid,
            "migration": self.migration,
            "memory_bytes": definition.memory_bytes,
            "sections": list(self._machine.sections),
        }
        await self._writer.write_json(FrameType.HELLO, hello)
        if self._channel.answers:
            self._reader = FrameReader(self._channel.receive)
            await self._reader.open()
            await self._answered(FrameType.READY)

    async def _converge(self, progress: OnProgress) -> None:
        memory = self._machine.memory
        memory.take_dirty()
        self._pending = memory.used_pages()
        limit = int(self._machine.definition.options.get("max_iterations", MAX_ITERATIONS))
        for self._iteration in range(1, limit + 1):
            seconds = await self._send_pages(progress)
            self._pending = memory.take_dirty()
            left_bytes = len(self._pending) * PAGE_BYTES
            self._dirty_rate = left_bytes / seconds if seconds else 0.0
            progress(self._progress())
            if left_bytes / self._rate() <= self._settings.downtime_limit_seconds:
                return
        raise EngineError(
            f"pre-copy did not converge in {limit} iterations: the guest writes "
            f"{self._dirty_rate or 0:.0f} bytes/s, the stream carries {self._rate():.0f}",
            hint="raise migration.bandwidth or downtime_limit",
        )

    async def _send_pages(self, progress: OnProgress) -> float:
        """Send what is pending; returns the seconds that it took."""
        assert self._writer is not None  # both callers have opened it
        began_ns = last_ns = self._clock.now_ns()
        for batch in _batches(sorted(self._pending)):
            self._check_answer()
            pages = {number: self._machine.memory.page(number) for number in batch}
            zeros = {number: b"" for number, page in pages.items() if page == _ZERO_PAGE}
            full = {number: page for number, page in pages.items() if number not in zeros}
            if full:
                self._count(await self._writer.write(FrameType.PAGES, pack_pages(full)))
            if zeros:
                self._count(await self._writer.write(FrameType.ZEROS, pack_pages(zeros)))
            self._pages += len(pages)
            self._pending.difference_update(batch)
            await self._pay(everything=False)
            if self._clock.now_ns() - last_ns > NS // 10:
                last_ns = self._clock.now_ns()
                progress(self._progress())
        await self._pay(everything=True)
        seconds = (self._clock.now_ns() - began_ns) / NS
        self._spent_seconds += seconds
        return seconds

    def _count(self, sent_bytes: int) -> None:
        self._sent_bytes += sent_bytes
        self._debt_seconds += sent_bytes / self._settings.bandwidth_bytes_per_second

    async def _pay(self, *, everything: bool) -> None:
        if self._debt_seconds > (0 if everything else _PAY_SECONDS):
            began_ns = self._clock.now_ns()
            await self._clock.spend(self._debt_seconds)
            # a sleep that lasted longer counts for the next debt
            self._debt_seconds -= (self._clock.now_ns() - began_ns) / NS
            self._debt_seconds = max(-0.1, self._debt_seconds)

    def _rate(self) -> float:
        if self._spent_seconds <= 0:
            return float(self._settings.bandwidth_bytes_per_second)
        return max(1.0, self._sent_bytes / self._spent_seconds)

    def _progress(self) -> Progress:
        remaining = len(self._pending) * PAGE_BYTES
        return Progress(
            total_bytes=len(self._machine.memory.used_pages()) * PAGE_BYTES,
            transferred_bytes=self._sent_bytes,
            remaining_bytes=remaining,
            rate_bytes_per_second=self._rate(),
            dirty_rate_bytes_per_second=self._dirty_rate,
            expected_downtime_seconds=remaining / self._rate(),
            iteration=self._iteration,
        )

    def _check_answer(self) -> None:
        if self._closed:
            raise EngineError("the move was given up")
        if self._answers is not None and self._answers.done():
            self._answers.result()  # raises what went wrong over there

    async def _answered(self, wanted: FrameType) -> None:
        if self._answers is None:
            self._answers = asyncio.create_task(self._answer(), name=f"{self.migration}/answers")
        kind = await self._answers
        if kind is not wanted:
            raise StreamError(f"the destination answered {kind.name}, not {wanted.name}")
        self._answers = None
        if wanted is FrameType.READY:  # from now on a failure over there is noticed at once
            self._answers = asyncio.create_task(self._answer(), name=f"{self.migration}/answers")

    async def _answer(self) -> FrameType:
        kind, payload = await self._reader.read()
        if kind is FrameType.FAILED:
            raise EngineError(f"the destination refused the stream: {payload.decode()}")
        return kind


def _batches(numbers: list[int]) -> Iterable[list[int]]:
    for start in range(0, len(numbers), PAGES_A_FRAME):
        yield numbers[start : start + PAGES_A_FRAME]

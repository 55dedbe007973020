"""The host's time, injected: real, or advanced by hand."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

NS = 1_000_000_000


class TimedWork(Protocol):
    """Something that has deadlines on a clock."""

    def next_ns(self) -> int | None:
        """Return its earliest deadline, or None."""

    def run_due(self) -> None:
        """Do what is due at the clock's present time."""


class Clock(Protocol):
    """A host's monotonic clock, and what hangs on it."""

    def now_ns(self) -> int:
        """Return monotonic nanoseconds; the epoch means nothing."""

    def unix_seconds(self) -> float:
        """Return the time of day."""

    def attach(self, work: TimedWork) -> Callable[[], None]:
        """Run the work's deadlines as time passes; returns what to call when one moved earlier."""

    async def spend(self, seconds: float) -> None:
        """Let that much time pass for the caller."""


class ManualClock:
    """A clock that stands still until it is advanced; everything due runs in order of time.

    ``spend`` advances it, so that a limited bandwidth costs simulated time and no real one.
    """

    def __init__(self, start_ns: int = 1000 * NS, unix_seconds: float = 1_700_000_000.0) -> None:
        self._now_ns = start_ns
        self._unix_offset = unix_seconds - start_ns / NS
        self._works: list[TimedWork] = []

    def now_ns(self) -> int:
        """Return the present time in ns."""
        return self._now_ns

    def unix_seconds(self) -> float:
        """Return the time of day that goes with it."""
        return self._unix_offset + self._now_ns / NS

    def attach(self, work: TimedWork) -> Callable[[], None]:
        """Include the work in :meth:`advance`."""
        self._works.append(work)
        return lambda: None

    def advance(self, seconds: float) -> None:
        """Let time pass: each deadline on the way is run at its own moment."""
        self.advance_to(self._now_ns + round(seconds * NS))

    def advance_to(self, target_ns: int) -> None:
        """Let time pass until ``target_ns``."""
        while True:
            due = [(at, work) for work in self._works if (at := work.next_ns()) is not None]
            at, work = min(due, key=lambda pair: pair[0], default=(target_ns + 1, None))
            if work is None or at > target_ns:
                break
            self._now_ns = max(self._now_ns, at)
            work.run_due()
        self._now_ns = max(self._now_ns, target_ns)

    async def spend(self, seconds: float) -> None:
        """Advance by ``seconds`` and let other tasks have their turn."""
        self.advance(seconds)
        await asyncio.sleep(0)


class RealClock:
    """The machine's own monotonic clock; deadlines run in a task of the present event loop."""

    def __init__(self) -> None:
        self._pumps: set[asyncio.Task[None]] = set()

    def now_ns(self) -> int:
        """Return ``time.monotonic_ns()``."""
        return time.monotonic_ns()

    def unix_seconds(self) -> float:
        """Return ``time.time()``."""
        return time.time()

    def attach(self, work: TimedWork) -> Callable[[], None]:
        """Run the work's deadlines while the present event loop runs."""
        wake = asyncio.Event()
        pump = asyncio.get_running_loop().create_task(self._pump(work, wake), name="embedded/clock")
        self._pumps.add(pump)
        pump.add_done_callback(self._pumps.discard)
        return wake.set

    async def _pump(self, work: TimedWork, wake: asyncio.Event) -> None:
        while True:
            wake.clear()
            work.run_due()
            at = work.next_ns()
            if at is not None and at <= self.now_ns():
                await asyncio.sleep(0)
                continue
            seconds = None if at is None else (at - self.now_ns()) / NS
            try:
                async with asyncio.timeout(seconds):
                    await wake.wait()
            except TimeoutError:
                continue

    async def spend(self, seconds: float) -> None:
        """Sleep."""
        await asyncio.sleep(seconds)

"""Tests that want one host: both hosts work through them, side by side, while pytest waits."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import Future

import pytest

from ..testbeds.xen.bed import Bed, tidied
from ..testbeds.xen.host import Host

#: What a test calls its one host: ``host`` is its own, ``shared_host`` has another guest beside.
HOST, SHARED_HOST = "host", "shared_host"
_LANES = {HOST: 1, SHARED_HOST: 2}
_LIMIT_SECONDS = 60.0


def wants(item: pytest.Item) -> str | None:
    """Return what a test calls its one host; None for a test that wants both, or none."""
    if item.get_closest_marker("xen") is None:
        return None
    names = set(getattr(item, "fixturenames", ()))
    return next((name for name in _LANES if name in names), None)


def in_order(items: Iterable[pytest.Item]) -> list[pytest.Item]:
    """Return tests as they are best begun: those that share, those alone, then all others.

    Of each kind those that may last longest come first, so that no host idles at the end.
    """

    def place(item: pytest.Item) -> tuple[int, float]:
        wanted = wants(item)
        if wanted is None:
            return 2, 0.0
        return int(wanted == HOST), -_limit_seconds(item)

    return sorted(items, key=place)


class SideBySide:
    """The tests of one run that want one host, in a thread of their own."""

    def __init__(self, bed: Bed, items: Sequence[pytest.Item]) -> None:
        self._bed = bed
        self._items = {
            name: deque(item for item in items if wants(item) == name)
            for name in (SHARED_HOST, HOST)
        }
        self._outcomes: dict[str, Future[str]] = {item.nodeid: Future() for item in items}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._free, self._over = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work_all, name="hosts")
        self._thread.start()

    def outcome(self, item: pytest.Item) -> str:
        """Wait for one test; return where and how long it ran, or raise what it raised."""
        return self._outcomes[item.nodeid].result()

    def join(self) -> None:
        """Wait until both hosts are free."""
        self._free.wait()

    def stop(self) -> None:
        """Give up what has not ended."""
        if self._loop is not None and self._task is not None:
            with contextlib.suppress(RuntimeError):  # it has ended in this moment
                self._loop.call_soon_threadsafe(self._task.cancel)
        self._over.set()
        self._thread.join()

    def _work_all(self) -> None:
        """Work through the tests, then stay: hosts that this thread rebooted would die with it.

        The kernel takes the thread that made a process for its parent (prctl(2), PR_SET_PDEATHSIG).
        """
        try:
            asyncio.run(self._all())
        finally:
            self._free.set()
        self._over.wait()

    async def _all(self) -> None:
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        try:
            await self._both_kinds()
        except asyncio.CancelledError:
            pass  # it was stopped, and nobody listens any more
        finally:
            for outcome in self._outcomes.values():
                if not outcome.done():
                    outcome.set_exception(RuntimeError("no host was left for it"))

    async def _both_kinds(self) -> None:
        for name, waiting in self._items.items():
            async with asyncio.TaskGroup() as group:
                for host in self._bed.hosts:
                    for lane in range(_LANES[name]):
                        work = self._work(host, waiting, alone=name == HOST)
                        group.create_task(work, name=f"{host.name}/{name}/{lane}")
            if name == SHARED_HOST:
                await asyncio.gather(*(tidied(host) for host in self._bed.hosts))

    async def _work(self, host: Host, waiting: deque[pytest.Item], *, alone: bool) -> None:
        while waiting:
            item = waiting.popleft()
            started = time.monotonic()
            try:
                async with asyncio.timeout(_limit_seconds(item)):
                    await _called(item, host)
            except BaseException as error:
                if not isinstance(error, pytest.skip.Exception):
                    error.add_note(f"on {host.name}, whose console ends with\n{host.tail()}")
                self._outcomes[item.nodeid].set_exception(error)
                if isinstance(error, asyncio.CancelledError):
                    raise
            else:
                seconds = time.monotonic() - started
                self._outcomes[item.nodeid].set_result(f"{seconds:.0f} s on {host.name}")
            if alone:
                await tidied(host)


async def _called(item: pytest.Item, host: Host) -> None:
    """Call a test with its host and its parameters, which is all that such a test may ask for."""
    assert isinstance(item, pytest.Function)
    callspec = getattr(item, "callspec", None)
    parameters = dict(callspec.params) if callspec else {}
    await item.obj(**{str(wants(item)): host}, **parameters)


def _limit_seconds(item: pytest.Item) -> float:
    marker = item.get_closest_marker("time_limit")
    return float(marker.args[0]) if marker else _LIMIT_SECONDS

"""An event loop without a world outside: its clock jumps, and a seed draws what runs next."""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import random
from collections.abc import Callable
from typing import Any

from .process import PROCESS, Process

#: More events than any history of a few simulated hours has.
MOST_EVENTS = 60_000
#: A write of this host's disk, or a file's work in a thread.
DISK_SECONDS = (0.0001, 0.004)


class Stuck(Exception):
    """Nothing is left to happen, or it happens without end."""


class _Task(asyncio.Task[Any]):
    """A task whose place in a set does not hang on its address: asyncio cancels sets of tasks."""

    number = 0

    def __hash__(self) -> int:
        return self.number


class SimLoop(asyncio.BaseEventLoop):
    """Every ready step of a task may be the next one; callbacks keep their order, as promised.

    A handle belongs to the process in whose context it was made: of a dead process nothing runs
    any more, and what a frozen one would do waits.  Threads run in the loop, after a while.
    """

    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        self._rng = rng
        self._now = 1000.0
        self._busy_until: dict[int, float] = {}
        self._ports = self._tasks = 0
        self.set_task_factory(self._make_task)
        self.events = 0
        #: How long a disk takes for one piece of work of a process.
        self.disk_seconds: Callable[[Process | None], float] = self._usual_disk
        self.after_event: Callable[[], None] = lambda: None
        self.listeners: dict[tuple[str, int], Any] = {}
        self.connect: Callable[..., Any] = _unreachable
        self.set_exception_handler(lambda _loop, context: self.complaints.append(context))
        self.complaints: list[dict[str, Any]] = []

    # -- time and order

    def time(self) -> float:
        return self._now

    def _run_once(self) -> None:
        ready, timers = self._ready, self._scheduled
        while timers and timers[0]._cancelled:
            heapq.heappop(timers)._scheduled = False
        if not ready:
            if not timers:
                raise Stuck("nothing is left to happen")
            self._now = max(self._now, timers[0]._when)
        while timers and timers[0]._when <= self._now:
            timer = heapq.heappop(timers)
            timer._scheduled = False
            if not timer._cancelled:
                ready.append(timer)
        if not ready:
            return
        handle = self._draw(ready)
        if handle._cancelled:
            return
        process = handle._context.get(PROCESS)
        if process is not None:
            if not process.alive:
                return
            if process.held is not None:
                process.held.append(handle)
                return
        self.events += 1
        if self.events > MOST_EVENTS:
            raise Stuck("it happens without end")
        handle._run()
        self.after_event()

    def _make_task(self, _loop: Any, work: Any, **more: Any) -> _Task:
        self._tasks += 1
        # Before it is made: asyncio puts it into sets at once.
        task = _Task.__new__(_Task)
        task.number = self._tasks
        task.__init__(work, loop=self, **more)
        return task

    def _draw(self, ready: Any) -> Any:
        count = len(ready)
        if count > 1:
            index = int(self._rng.random() * count)
            handle = ready[index]
            if index and isinstance(getattr(handle._callback, "__self__", None), asyncio.Task):
                del ready[index]
                return handle
        return ready.popleft()

    def thaw(self, process: Process) -> None:
        """Let a frozen process go on with all that waited for it."""
        held, process.held = process.held, None
        self._ready.extend(held or ())

    # -- what a loop has of its machine

    def _write_to_self(self) -> None:
        pass

    def _process_events(self, _events: Any) -> None:
        pass

    def _usual_disk(self, _process: Process | None) -> float:
        return self._rng.uniform(*DISK_SECONDS)

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> asyncio.Future[Any]:
        future = self.create_future()
        context = contextvars.copy_context()
        process = context.get(PROCESS)
        at = self._now + self.disk_seconds(process)
        if executor is not None:  # one thread: in the order of the calls
            at = max(at, self._busy_until.get(id(executor), 0.0) + 1e-7)
            self._busy_until[id(executor)] = at

        def work() -> None:
            # Whoever gave up waiting does not stop a thread.
            try:
                result = func(*args)
            except BaseException as error:  # noqa: BLE001 - handed to who waits for it
                if not future.done():
                    future.set_exception(error)
                return
            if not future.done():
                future.set_result(result)

        self.call_at(at, work, context=context)
        return future

    async def create_server(self, factory: Any, host: Any = None, port: Any = 0, **_: Any) -> Any:
        self._ports += 1
        number = self._ports
        server = Server(self, (str(host), number), factory, PROCESS.get())
        self.listeners[str(host), number] = server
        return server

    async def create_connection(
        self, factory: Any, host: Any = None, port: Any = 0, **_: Any
    ) -> Any:
        return await self.connect(factory, str(host), int(port))


class Server:
    """What listens on a simulated address."""

    def __init__(
        self, loop: SimLoop, address: tuple[str, int], factory: Any, process: Process | None
    ) -> None:
        self._loop = loop
        self.address = address
        self.factory = factory
        self.process = process

    @property
    def sockets(self) -> list[Any]:
        return [self]

    def getsockname(self) -> tuple[str, int]:
        return self.address

    def close(self) -> None:
        self._loop.listeners.pop(self.address, None)


async def _unreachable(*_: Any) -> Any:
    raise OSError("there is no network")

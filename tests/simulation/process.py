"""A process of a simulated host: what dies, or stands still, at once."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .hosts import SimHost

PROCESS: contextvars.ContextVar[Process | None] = contextvars.ContextVar("process", default=None)
#: In a hypervisor: the process that asked for what it does.
CALLER: contextvars.ContextVar[Process | None] = contextvars.ContextVar("caller", default=None)
#: There, too: the operation, and the move that it is for.
CALL: contextvars.ContextVar[tuple[str, str]] = contextvars.ContextVar("call", default=("", ""))


class Killed(BaseException):
    """The process died here; nobody in it hears of that but the stack that is unwound."""


class Process:
    """Everything that runs in its context; killed, none of it takes another step."""

    def __init__(self, host: SimHost, name: str, verb: str = "") -> None:
        self.host = host
        self.name = name
        #: What an operator asked of it, if anybody did.
        self.verb = verb
        self.alive = True
        #: What waits while it is frozen; None while it runs.
        self.held: list[Any] | None = None
        self.tasks: list[asyncio.Task[Any]] = []
        #: Called when it ends or is killed: what a kernel does for it.
        self.at_end: list[Callable[[], None]] = []
        self.context = contextvars.copy_context()
        self.context.run(PROCESS.set, self)
        self.ended: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def run(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Start it: it ends with this work."""
        task = self.spawn(work)
        task.add_done_callback(self._done, context=self.context)
        return task

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Let it do this, too."""
        loop = asyncio.get_running_loop()
        task = loop.create_task(work, name=self.name, context=self.context)
        self.tasks.append(task)
        return task

    def kill(self) -> None:
        """End it as SIGKILL does."""
        if self.alive:
            self._end(died=True)

    def _done(self, _task: asyncio.Task[Any]) -> None:
        if self.alive:
            self._end(died=False)

    def _end(self, *, died: bool) -> None:
        self.alive, self.held = False, None
        for end in reversed(self.at_end):
            end()
        self.host.processes.pop(self, None)
        if not self.ended.done():
            self.ended.set_result(died)

    def __str__(self) -> str:
        return f"{self.host.name}/{self.name}"

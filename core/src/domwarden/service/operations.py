"""The long operations that this run of the service began."""

from __future__ import annotations

import asyncio
import collections
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from domwarden.contract import DomwardenError, RefusedError
from domwarden.migration import Moment
from domwarden.service.operation import Operation
from domwarden.service.problems import ProblemError, problem_of
from domwarden.warden import MoveState

logger = logging.getLogger(__name__)

#: So many that ended are remembered.
KEPT = 64
#: So many may be under way at once.
MOST = 16


class Operations:
    """Begins them, and finds them again by their ids; a restart of the service forgets them.

    What they had done by then is in the journal, as after any crash.
    """

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self._group = group
        self._known: collections.OrderedDict[str, Operation] = collections.OrderedDict()
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def begin(self, operation: Operation, work: Callable[[], Awaitable[Any]]) -> Operation:
        """Begin one whose result, plain data, is what ``work`` returns; raises ProblemError."""
        if len(self._tasks) >= MOST:
            raise ProblemError("too-many", f"at most {MOST} operations may be under way")
        over = [one.id for one in self._known.values() if one.over]
        for name in over[: max(0, len(self._known) - KEPT)]:
            del self._known[name]
        self._known[operation.id] = operation
        self._tasks[operation.id] = self._group.create_task(
            self._run(operation, work),
            name=f"{operation.kind}/{operation.domain or 'all'}/{operation.id}",
        )
        return operation

    async def _run(self, operation: Operation, work: Callable[[], Awaitable[Any]]) -> None:
        try:
            await self._end(operation, work)
        finally:
            del self._tasks[operation.id]

    async def _end(self, operation: Operation, work: Callable[[], Awaitable[Any]]) -> None:
        problem: ProblemError
        state = MoveState.FAILED
        try:
            operation.end(MoveState.SUCCEEDED, result=await work())
            return
        except RefusedError as error:
            state, problem = MoveState.REFUSED, problem_of(error)
        except ProblemError as error:
            problem = error
        except DomwardenError as error:
            problem = problem_of(error)
        except Exception:
            logger.exception("the %s %s failed", operation.kind, operation.id)
            problem = ProblemError("internal", "see the service's log")
        except asyncio.CancelledError:
            operation.end(state, problem=ProblemError("stopping", "the service ended before it"))
            raise
        operation.end(state, problem=problem)

    def hear(self, moment: Moment) -> None:
        """Hand a moment to whoever wants it."""
        for operation in self._known.values():
            if not operation.over and operation.wants(moment):
                operation.tell("moment", moment.as_json())

    def one(self, name: str) -> Operation:
        """Return one; raises ProblemError where nothing is known of it."""
        if name not in self._known:
            hint = "a restart of the service ends what it had not done, and forgets it"
            raise ProblemError("unknown-operation", f"nothing is known of {name}", hint=hint)
        return self._known[name]

    def emptying(self) -> Operation | None:
        """Return the evacuation that is under way, a dry run not counted."""
        return next((one for one in self.all() if one.stop is not None and not one.over), None)

    def all(self) -> list[Operation]:
        """Return all, oldest first."""
        return list(self._known.values())

    def tasks(self) -> list[asyncio.Task[None]]:
        """Return the tasks of all that go on."""
        return list(self._tasks.values())

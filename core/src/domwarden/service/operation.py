"""One long operation of the host, followed from its request to its end."""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import enum
import time
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any

from domwarden.migration import Moment
from domwarden.service.problems import ProblemError
from domwarden.service.routes import Event
from domwarden.warden import MoveState

#: So much of what an operation tells is remembered.
KEPT_EVENTS = 4096


class Kind(enum.StrEnum):
    """What long operations there are besides moves."""

    UNKNOWN = "unknown"
    EVACUATION = "evacuation"
    RECLAIM = "reclaim"
    RECOVERY = "recovery"


def deaf(_moment: Moment) -> bool:
    """Want no moment."""
    return False


@dataclasses.dataclass
class Operation:
    """It ends with a result or with a problem.

    ``stop`` has it begin nothing more; None: it goes to its end. ``wants`` says which moments are
    its own.
    """

    kind: Kind
    caller: str
    #: The domain that it is about, or empty.
    domain: str = ""
    stop: Callable[[], None] | None = None
    wants: Callable[[Moment], bool] = deaf
    stopping: bool = False
    id: str = dataclasses.field(default_factory=lambda: uuid.uuid4().hex[:12])
    begun_at: float = dataclasses.field(default_factory=time.time)
    state: MoveState = MoveState.RUNNING
    result: Any = None
    problem: ProblemError | None = None
    _events: collections.deque[Event] = dataclasses.field(
        default_factory=lambda: collections.deque(maxlen=KEPT_EVENTS)
    )
    _told: int = 0
    _changed: asyncio.Event = dataclasses.field(default_factory=asyncio.Event)

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self.state is not MoveState.RUNNING

    def tell(self, kind: str, data: Any) -> None:
        """Remember something that happened, for who follows."""
        self._told += 1
        self._events.append(Event(kind, data, self._told))
        self._change()

    def end(
        self, state: MoveState, *, result: Any = None, problem: ProblemError | None = None
    ) -> None:
        """Say how it ended."""
        self.state, self.result, self.problem = state, result, problem
        self._change()

    def _change(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "id": self.id,
            "kind": self.kind,
            "domain": self.domain,
            "state": self.state,
            "stopping": self.stopping,
            "caller": self.caller,
            "begun_at": self.begun_at,
            "result": self.result,
            "problem": self.problem.as_json() if self.problem is not None else None,
        }

    def told(self, after: int, most: int) -> list[Event]:
        """Return so many events that were told after that number."""
        return [event for event in self._events if event.number > after][:most]

    async def follow(self, after: int) -> AsyncIterator[Event]:
        """Yield what it tells, and at its end what became of it."""
        while True:
            over, changed = self.over, self._changed
            for event in self.told(after, KEPT_EVENTS):
                after = event.number
                yield event
            if over:
                break
            await changed.wait()
        yield Event("end", self.as_json())

"""Migrations, saves and restores as resources, from their request on."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import dataclasses
import logging
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from domwarden.contract import ConflictError, DomwardenError, Movement, RefusedError
from domwarden.migration import Moment, Moved, Restored, Saved, What
from domwarden.service.claims import Claims, conflict
from domwarden.service.problems import ProblemError, problem_of
from domwarden.service.routes import Event
from domwarden.warden import Looks, MoveState

logger = logging.getLogger(__name__)

#: So many moves that ended are remembered with all they told; the journal knows the others.
KEPT = 256
#: So much of what a move tells is remembered: pre-copy may tell of itself for hours.
KEPT_MOMENTS = 1000
#: How often the journal is asked about a move that an earlier run of the service began.
LOOK_SECONDS = 0.5
#: A move in one of these may still change.
OPEN = frozenset({MoveState.RUNNING, MoveState.WAITING})

Result = Moved | Saved | Restored
Done = Callable[["Move"], None]


@dataclasses.dataclass
class Move:
    """One move that this run of the service began."""

    id: str
    domain: str
    movement: Movement
    peer: str
    caller: str
    begun_at: float
    state: MoveState = MoveState.RUNNING
    result: Result | None = None
    problem: ProblemError | None = None
    error: DomwardenError | None = None
    moments: collections.deque[tuple[int, Moment]] = dataclasses.field(
        default_factory=lambda: collections.deque(maxlen=KEPT_MOMENTS)
    )
    task: asyncio.Task[None] | None = None
    #: Set at the next change, and then replaced.
    changed: asyncio.Event = dataclasses.field(default_factory=asyncio.Event)
    _told: int = 0

    def hear(self, moment: Moment) -> None:
        """Remember a moment."""
        self._told += 1
        self.moments.append((self._told, moment))
        self.change()

    def change(self) -> None:
        """Wake whoever waits for a change."""
        self.changed.set()
        self.changed = asyncio.Event()

    def as_json(self) -> dict[str, Any]:
        """Return what this process knows of it."""
        heard = [moment for _, moment in self.moments]
        steps = [one.step for one in heard if one.what is What.STEP_BEGUN]
        progress = [one.data for one in heard if one.what is What.PROGRESS]
        return {
            "id": self.id,
            "domain": self.domain,
            "movement": self.movement,
            "peer": self.peer,
            "state": self.state,
            "caller": self.caller,
            "begun_at": self.begun_at,
            "step": steps[-1] if steps else "",
            "progress": progress[-1] if progress else None,
            "result": self.result.as_json() if self.result is not None else None,
            "problem": self.problem.as_json() if self.problem is not None else None,
        }


class Moves:
    """Begins moves, follows them, and finds those again that an earlier run began."""

    def __init__(self, looks: Looks, claims: Claims, group: asyncio.TaskGroup, done: Done) -> None:
        self._looks = looks
        self._claims = claims
        self._group = group
        self._done = done
        self._known: collections.OrderedDict[str, Move] = collections.OrderedDict()

    async def begin(
        self,
        domain: str,
        movement: Movement,
        peer: str,
        caller: str,
        work: Callable[[str], Awaitable[Result]],
    ) -> Move:
        """Begin a move by ``work(id)``; raises ProblemError while somebody acts on the domain."""
        move = Move(uuid.uuid4().hex[:12], domain, movement, peer, caller, time.time())
        with contextlib.ExitStack() as claimed:
            what = f"the {movement} {move.id} (begun by {caller})"
            claimed.enter_context(self._claims.take(domain, what))
            await self._claims.free(domain)
            held = claimed.pop_all()
        self._known[move.id] = move
        self._forget()
        move.task = self._group.create_task(
            self._run(move, work, held), name=f"{domain}/{movement}/{move.id}"
        )
        return move

    async def _run(
        self, move: Move, work: Callable[[str], Awaitable[Result]], held: contextlib.ExitStack
    ) -> None:
        with held:
            try:
                move.result = await work(move.id)
                move.state = MoveState.SUCCEEDED
            except RefusedError as error:
                move.state, move.problem = MoveState.REFUSED, problem_of(error)
                move.error = error
            except ConflictError as error:
                move.error = error
                holder = await self._looks.holder(move.domain)
                known = conflict(move.domain, str(holder)) if holder else problem_of(error)
                move.state, move.problem = MoveState.FAILED, known
            except DomwardenError as error:
                move.state, move.problem = MoveState.FAILED, problem_of(error)
                move.error = error
            except Exception:
                logger.exception("the move %s of %s failed", move.id, move.domain)
                bug = ProblemError("internal", "see the service's log")
                move.state, move.problem = MoveState.FAILED, bug
            except asyncio.CancelledError:
                why = ProblemError("move-failed", "the move was cancelled")
                move.state, move.problem = MoveState.FAILED, why
                raise
            finally:
                self._done(move)
                move.change()

    def hear(self, moment: Moment) -> None:
        """Keep what a move tells of itself."""
        move = self._known.get(moment.migration)
        if move is not None:
            move.hear(moment)

    async def one(self, migration: str) -> dict[str, Any]:
        """Return what is known of a move; raises ProblemError where nothing is."""
        move = self._known.get(migration)
        found = move.as_json() if move is not None else {}
        status = await self._looks.move(migration)
        if status is not None:
            # What is durable says how it stands once nobody here drives it any more.
            driven = move is not None and move.state is MoveState.RUNNING
            found = {**_blank(), **status.as_json(), **found}
            found["state"] = MoveState.RUNNING if driven else status.state
        elif not found:
            hint = "what was refused, or ended before its first record, a restart forgets"
            raise ProblemError("unknown-migration", f"nothing is known of {migration}", hint=hint)
        return {**_blank(), **found}

    async def all(self) -> list[dict[str, Any]]:
        """Return every move that this run began, and those that are unfinished, oldest first."""
        unfinished = [one.id for one in await self._looks.unfinished()]
        return [await self.one(name) for name in dict.fromkeys((*unfinished, *self._known))]

    async def follow(self, migration: str, after: int) -> AsyncIterator[Event]:
        """Yield what a move tells, and at its end what became of it."""
        last = await self.one(migration)
        move = self._known.get(migration)
        while move is not None:
            state, changed = move.state, move.changed
            for number, moment in list(move.moments):
                if number > after:
                    after = number
                    yield Event("moment", moment.as_json(), number)
            if state is not MoveState.RUNNING:
                break
            await changed.wait()
        while (found := await self.one(migration))["state"] in OPEN:
            if found != last:
                yield Event("state", found)
            last = found
            await asyncio.sleep(LOOK_SECONDS)
        yield Event("end", found)

    def tasks(self) -> list[asyncio.Task[None]]:
        """Return the tasks of all moves that go on."""
        return [found for name in self._known if (found := self.task_of(name)) is not None]

    def task_of(self, migration: str) -> asyncio.Task[None] | None:
        """Return the task that began a move, as long as it goes on."""
        move = self._known.get(migration)
        return move.task if move is not None and move.state is MoveState.RUNNING else None

    def _forget(self) -> None:
        over = [move.id for move in self._known.values() if move.state is not MoveState.RUNNING]
        for name in over[: max(0, len(self._known) - KEPT)]:
            del self._known[name]


def _blank() -> dict[str, Any]:
    """Return what is told of every move, where nothing is known."""
    return {
        "end": "",
        "caller": "",
        "begun_at": None,
        "step": "",
        "progress": None,
        "decision": "undecided",
        "outcome": "unknown",
        "holder": "",
        "result": None,
        "problem": None,
    }

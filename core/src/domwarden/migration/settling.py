"""Brings an interrupted move to an end by asking the plan again and again."""

from __future__ import annotations

import asyncio
import collections
import dataclasses
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from domwarden.contract import Armed, BrokenError, End, Movement, RunState
from domwarden.journal import MigrationRecord
from domwarden.migration.far import FarEnd
from domwarden.migration.outcome import Outcome, Settled
from domwarden.migration.source import SourceSide
from domwarden.plan import Action, Decision, Fact, Next, View, settle

ResultT = TypeVar("ResultT")

#: How often one action, or one look at the destination, is tried before going on without it.
TRIES = 3
#: How long all that a destination is asked may take while a guest stands still that can run again
#: without it; it is asked anew once that runs.
STANDING_SECONDS = 0.75
#: More actions than any move has.
MOST_ACTIONS = 200


class _Enough(Exception):
    """The same thing failed too often."""

    def __init__(self, end: End, error: Exception) -> None:
        super().__init__(str(error))
        self.end = end
        self.error = error


@dataclasses.dataclass
class Settling:
    """One attempt to settle one move; ``far`` None means that the destination cannot be asked.

    ``blackout_seconds`` is how long the domain stood still, if this process suspended it.
    """

    record: MigrationRecord
    source: SourceSide | None
    far: FarEnd | None
    sleep: Callable[[float], Awaitable[None]]
    blackout_seconds: float | None = None

    def __post_init__(self) -> None:
        self._failures: collections.Counter[tuple[End, str]] = collections.Counter()
        self._last_error: Exception | None = None
        #: Until when the destination may be waited for, while a guest stands still for it.
        self._standing_until: float | None = None
        #: It took longer; it is asked again once the guest runs.
        self._late = False
        self._far_alarms: Sequence[str] = self.far.alarms if self.far is not None else ()

    async def run(self) -> Settled:
        """Do what the plan says until nothing is left, or nobody here can do more."""
        for _ in range(MOST_ACTIONS):
            try:
                source, destination = await self._looks()
            except BrokenError as error:
                return self._failing(error)
            next_ = settle(source, destination, source_is_file=self._from_file)
            if next_.action is Action.DONE:
                return self._done(source, destination)
            if next_.action is Action.BROKEN:
                return self._settled(Outcome.BROKEN, next_.why)
            if next_.action is Action.WAIT:
                why = f"{next_.why} ({self._last_error})" if self._last_error else next_.why
                return self._settled(_waiting(source, destination), why)
            try:
                await self._perform(next_)
            except BrokenError as error:
                return self._failing(error)
            except _Enough as enough:
                if enough.end is End.SOURCE or self.source is None:
                    return self._settled(Outcome.WAITING, str(enough.error))
                self.far = None  # it does not answer: the plan knows what may be done without it
        raise BrokenError(f"the move {self.record.id} does not settle")

    @property
    def _from_file(self) -> bool:
        return self.record.movement is Movement.RESTORE

    async def _looks(self) -> tuple[View | None, View | None]:
        """Look at both ends at once: two hypervisors that hang cost one time-out."""
        there = asyncio.create_task(self._look(), name=f"{self.record.domain}/look/destination")
        try:
            source = await self._look_here()
            self._note_standing(source)
            return source, await self._in_time(there)
        finally:
            if not there.done():
                there.cancel()
                await asyncio.gather(there, return_exceptions=True)

    def _note_standing(self, source: View | None) -> None:
        """Give the destination little time where a guest stands still that can run again here.

        Only in the process that suspended it, which has spoken with the destination a moment ago: a
        new one first has to reach it, and by its answer the move may go on.
        """
        suspended = self.source is not None and self.source.suspended_at is not None
        if source is None or not suspended or not _stands(self.record, source):
            self._standing_until, self._late = None, False
        elif self._standing_until is None:
            self._standing_until = asyncio.get_running_loop().time() + STANDING_SECONDS

    async def _in_time(self, asked: Awaitable[ResultT]) -> ResultT | None:
        """Return what comes of asking the destination; None when that takes too long now."""
        limit = asyncio.timeout_at(self._standing_until)
        try:
            async with limit:
                return await asked
        except TimeoutError:
            if not limit.expired():
                raise
            self._late = True
            return None

    async def _look_here(self) -> View | None:
        return await self.source.view() if self.source is not None else None

    async def _look(self) -> View | None:
        while self.far is not None and not self._late:
            try:
                return await self.far.look()
            except BrokenError:
                raise
            except Exception as error:  # noqa: BLE001 - as below
                try:
                    await self._failed(End.DESTINATION, "look", error)
                except _Enough:
                    self.far = None
        return None

    async def _failed(self, end: End, what: str, error: Exception) -> None:
        self._last_error = error
        self._failures[end, what] += 1
        if self._failures[end, what] >= TRIES:
            raise _Enough(end, error) from error
        await self.sleep(0.2 * 4 ** self._failures[end, what])

    async def _perform(self, next_: Next) -> None:
        if next_.end is End.DESTINATION:
            await self._in_time(self._try(next_))
        else:
            await self._try(next_)

    async def _try(self, next_: Next) -> None:
        try:
            if next_.end is End.DESTINATION:
                assert self.far is not None
                await self._note_answer(await self.far.perform(next_.action))
            else:
                assert self.source is not None
                await self.source.perform(next_.action)
        except BrokenError:
            raise
        except Exception as error:  # noqa: BLE001 - a bug in an engine must not end a recovery
            await self._failed(next_.end, next_.action, error)

    async def _note_answer(self, answer: Mapping[str, Any]) -> None:
        if self.source is None:
            return
        if "watchdog" in answer:
            await self.source.compare_watchdog(Armed(answer["watchdog"]))
        if "ran_ago_seconds" in answer:
            seconds = self.source.seen_running(float(answer["ran_ago_seconds"]))
            self.blackout_seconds = seconds if seconds is not None else self.blackout_seconds
            await self.source.intend_finish()

    def _done(self, source: View | None, destination: View | None) -> Settled:
        movement = self.record.movement
        if source is None:
            ran = destination is not None and destination.has(Fact.RAN)
            arrived = Outcome.RESTORED if movement is Movement.RESTORE else Outcome.ARRIVED
            return self._settled(arrived if ran else Outcome.GIVEN_UP)
        if source.has(Fact.RECLAIMED):
            return self._reclaimed(source)
        if source.decision is Decision.RELEASED and not source.has(Fact.RETURNED):
            saved = movement is Movement.SAVE
            return self._settled(Outcome.SAVED if saved else Outcome.ARRIVED)
        detail = ""
        if source.running and source.state is RunState.PAUSED:
            detail = "it stays paused at its source, because the move is not what stopped it"
        return self._settled(_back(source), detail)

    def _reclaimed(self, source: View) -> Settled:
        if source.has(Fact.WRITTEN_OFF):
            detail = "its suspended copy was written off: start it from its file"
            return self._settled(Outcome.STOPPED, detail)
        # A move that was done before: wherever the domain is now, it is not left by this one.
        if self.record.done or _back(source) is not Outcome.ENDED:
            return self._settled(Outcome.RECLAIMED, f"{self.record.peer} was called gone for good")
        return self._settled(Outcome.ENDED, "its suspended copy died: start it from its file")

    def _failing(self, error: BrokenError) -> Settled:
        """Say that a journal cannot be used now; its disk may come back."""
        return dataclasses.replace(self._settled(Outcome.BROKEN, str(error)), failed=True)

    def _settled(self, outcome: Outcome, detail: str = "") -> Settled:
        alarms = self.source.alarms if self.source is not None else self._far_alarms
        return Settled(self.record.id, self.record.domain, outcome, detail, tuple(alarms))


def _stands(record: MigrationRecord, source: View) -> bool:
    """Say whether a guest stands still at its source that the plan may let run there again."""
    return (
        record.movement is Movement.MIGRATE
        and source.running
        and source.state in {RunState.SUSPENDED, RunState.DEPARTED}
        and not source.has(Fact.HALTED)
        and not source.has(Fact.RECLAIMED)
        and (source.decision is not Decision.RELEASED or source.has(Fact.RETURNED))
    )


def _back(source: View) -> Outcome:
    gone = {RunState.ABSENT, RunState.ENDED}
    return Outcome.ENDED if source.state in gone else Outcome.RESUMED


def _waiting(source: View | None, destination: View | None) -> Outcome:
    """An aborted move whose source is back waits only for its destination to hear of it."""
    if source is not None and destination is None and source.has(Fact.RESUMED):
        return _back(source)
    return Outcome.WAITING

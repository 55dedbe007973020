"""The design's eight rules, each broken on purpose in one line of the product."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import importlib
import shutil
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

from domwarden.contract import DomwardenError, End, Movement
from domwarden.journal import SaveRecord, journal, store
from domwarden.journal.lock import DomainLock
from domwarden.migration import restoring, savefile
from domwarden.migration.destination import DestinationSide
from domwarden.migration.savefile import SaveFile
from domwarden.migration.source import SourceSide
from domwarden.plan import Action, Decision, Fact, Next
from domwarden.warden import lifecycle


@dataclasses.dataclass(frozen=True)
class Break:
    """One way not to keep a rule; ``plant`` patches the product with it."""

    rule: int
    name: str
    plant: Callable[[Callable[[Any, str, Any], None]], None]
    #: Seeds of which one notices; a rare history has others than the first.
    seeds: range


Patch = Callable[[Any, str, Any], None]
BREAKS: list[Break] = []


def breaks(
    rule: int, seeds: range = range(400)
) -> Callable[[Callable[[Patch], None]], Callable[[Patch], None]]:
    def keep(plant: Callable[[Patch], None]) -> Callable[[Patch], None]:
        name = plant.__name__.strip("_").replace("_", "-")
        BREAKS.append(Break(rule, name, plant, seeds))
        return plant

    return keep


@contextlib.contextmanager
def planted(name: str) -> Iterator[None]:
    """Break one rule of the product for as long as the context lasts."""
    found = next((one for one in BREAKS if one.name == name), None)
    if found is None:
        raise ValueError(f"no break {name!r}; there are {', '.join(b.name for b in BREAKS)}")
    with contextlib.ExitStack() as stack:
        found.plant(
            lambda owner, what, value: stack.enter_context(mock.patch.object(owner, what, value))
        )
        yield


class _NotDoneError(Exception):
    """What a rash journal takes a failed commit for."""


# -- 1: ready


@breaks(1)
def _a_ready_destination_gives_up_alone(patch: Patch) -> None:
    _sync = DestinationSide.sync
    waiting = set()

    async def sync(self: DestinationSide) -> None:
        await _sync(self)
        task = asyncio.create_task(give_up(self))
        waiting.add(task)
        task.add_done_callback(waiting.discard)

    async def give_up(self: DestinationSide) -> None:
        await asyncio.sleep(1.0)
        if Fact.GRANTED not in self.facts:
            with contextlib.suppress(DomwardenError):
                await self.give_up()
                await self.discard()

    patch(DestinationSide, "sync", sync)


# -- 2: release or abort


@breaks(2)
def _a_release_is_acted_on_before_it_is_durable(patch: Patch) -> None:
    async def release(self: SourceSide) -> None:
        self.decision = Decision.RELEASED

    patch(SourceSide, "release", release)


@breaks(2, range(400, 800))
def _a_failed_commit_counts_as_not_done(patch: Patch) -> None:
    decide = journal.Journal._decide

    def rash(self: Any, migration: str, wanted: Decision, entries: Any) -> Decision:
        write = self._store.write

        def optimistic(work: Any) -> None:
            try:
                write(work)
            except store.CommitUnknownError:
                raise _NotDoneError from None

        with mock.patch.object(self._store, "write", optimistic):
            try:
                return decide(self, migration, wanted, entries)
            except _NotDoneError:
                return Decision.ABORTED

    patch(journal.Journal, "_decide", rash)


@breaks(2)
def _commits_are_not_synced(patch: Patch) -> None:
    open_connection = store.Store._open_connection

    def lax(self: store.Store) -> None:
        open_connection(self)
        self.connection.execute("PRAGMA synchronous=NORMAL")

    patch(store.Store, "_open_connection", lax)


@breaks(2)
def _it_is_released_before_the_destination_is_ready(patch: Patch) -> None:
    suspend = SourceSide.suspend

    async def hasty(self: SourceSide) -> None:
        await suspend(self)
        if self.record.movement is Movement.MIGRATE:
            await self.release()

    patch(SourceSide, "suspend", hasty)


# -- 3: grant


@breaks(3)
def _it_runs_before_the_grant_is_durable(patch: Patch) -> None:
    async def grant(self: DestinationSide, *entries: Any) -> float:
        await self.command("activate", self.incoming.activate, run=self.record.running)
        return await _grant(self, *entries)

    _grant = DestinationSide.grant
    patch(DestinationSide, "grant", grant)


@breaks(3)
def _it_runs_without_a_grant(patch: Patch) -> None:
    sync = DestinationSide.sync

    async def eager(self: DestinationSide) -> None:
        await sync(self)
        if self.record.movement is Movement.MIGRATE:
            await self.command("activate", self.incoming.activate, run=self.record.running)

    patch(DestinationSide, "sync", eager)


# -- 4: the source keeps its copy


@breaks(4)
def _the_source_ends_its_copy_with_the_release(patch: Patch) -> None:
    release = SourceSide.release

    async def final(self: SourceSide) -> None:
        await release(self)
        if self.record.movement is Movement.MIGRATE:
            await self.engine.stop(self.record.domain)

    patch(SourceSide, "release", final)


@breaks(4)
def _what_may_have_run_is_given_back(patch: Patch) -> None:
    settle = importlib.import_module("domwarden.plan.settle")
    arrive = settle._arrive

    def trusting(destination: Any) -> Any:
        if destination.has(Fact.GRANTED) and destination.state in settle.GONE:
            return Next(Action.RETURN, End.DESTINATION)
        return arrive(destination)

    patch(settle, "_arrive", trusting)


@breaks(4)
def _an_old_copy_is_taken_back_warm(patch: Patch) -> None:
    patch(importlib.import_module("domwarden.plan.reclaim"), "_cold_only", lambda *_: "")


# -- 5: one actor


@breaks(5)
def _nobody_takes_the_lock(patch: Patch) -> None:
    patch(DomainLock, "acquire", lambda self: None)


# -- 6: epochs


@breaks(6, range(1000, 1400))
def _a_silent_peer_counts_as_no_owner(patch: Patch) -> None:
    claim = lifecycle.claim

    def deaf(own: int, answers: Any, **more: Any) -> Any:
        return claim(own, {peer: a for peer, a in answers.items() if a is not None}, **more)

    patch(lifecycle, "claim", deaf)
    patch(restoring, "claim", deaf)


@breaks(6)
def _a_higher_epoch_refuses_nothing(patch: Patch) -> None:
    claim = lifecycle.claim

    def proud(own: int, answers: Any, **more: Any) -> Any:
        epoch, refusals = claim(own, answers, **more)
        return epoch, tuple(one for one in refusals if one.code != "newer-elsewhere")

    patch(lifecycle, "claim", proud)


@breaks(6)
def _peers_are_not_asked(patch: Patch) -> None:
    async def nobody(*_: Any) -> dict[str, Any]:
        return {}

    patch(lifecycle, "ask_epochs", nobody)


@breaks(6)
def _a_reclaim_is_acted_on_before_it_is_durable(patch: Patch) -> None:
    async def reclaim(self: SourceSide, *, cold: bool) -> None:
        self.facts[Fact.RECLAIMED] = {}
        if cold:
            self.facts[Fact.WRITTEN_OFF] = {}

    patch(SourceSide, "reclaim", reclaim)


# -- 7: a save is a release


@breaks(7)
def _a_save_may_be_restored_twice(patch: Patch) -> None:
    def unconsumed(*values: Any, consumed: bool = False) -> SaveRecord:
        return SaveRecord(*values)

    async def record(hub: Any, path: Any, manifest: Any, fenced: Any) -> Any:
        made, refusals = await _record(hub, path, manifest, fenced)
        return made, [one for one in refusals if one.code != "stale-save"]

    _record = restoring._record
    patch(restoring, "SaveRecord", unconsumed)
    patch(restoring, "_record", record)


@breaks(7)
def _a_save_ends_the_domain_before_it_is_sealed(patch: Patch) -> None:
    complete = SourceSide.complete

    async def hasty(self: SourceSide) -> None:
        await complete(self)
        if self.record.movement is Movement.SAVE:
            await self.engine.stop(self.record.domain)

    patch(SourceSide, "complete", hasty)


@breaks(7)
def _a_save_is_not_synced(patch: Patch) -> None:
    patch(savefile, "_fsync", lambda path: None)


# -- 8: what a migration made


@breaks(8)
def _a_save_that_is_given_up_removes_another_of_its_name(patch: Patch) -> None:
    def remove(self: SaveFile) -> None:
        for path in (self.path, self.partial):
            shutil.rmtree(path, ignore_errors=True)

    patch(SaveFile, "obstacles", lambda self: [])
    patch(SaveFile, "remove", remove)

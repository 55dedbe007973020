"""The end that a domain leaves."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

from domwarden.contract import (
    Address,
    BrokenError,
    End,
    EngineError,
    GuestStoppedError,
    Movement,
    Outgoing,
    PermanentError,
    Progress,
    Refusal,
    RunState,
    Ticket,
)
from domwarden.journal import (
    DomainRecord,
    Entry,
    HistoryKind,
    Hook,
    MigrationRecord,
    SaveRecord,
)
from domwarden.migration.both import both
from domwarden.migration.moments import Observer, What
from domwarden.migration.side import Side
from domwarden.migration.site import Site
from domwarden.plan import UNSEEN_EPOCHS, Action, Decision, Desired, Fact, View


class SourceSide(Side):
    """The source's half of one move."""

    end: ClassVar[End] = End.SOURCE

    def __init__(self, site: Site, record: MigrationRecord, observer: Observer) -> None:
        super().__init__(site, record, observer)
        self.outgoing: Outgoing = self.engine.outgoing(record.definition, record.id, self.peer)
        self.decision = Decision.UNDECIDED
        self.suspended_at: float | None = None

    async def recall(self) -> None:
        """Read what the journal knows of this end."""
        await super().recall()
        self.decision = await self.site.journal.decision(self.record.id)

    # -- forwards

    async def blockers(self, *, clearable: bool) -> list[Refusal]:
        """Return what the engine says against the move, without what a device will clear."""
        found = []
        for blocker in await self.command("blockers", self.outgoing.blockers):
            answers = self.room.clears(self.domain(running=self.record.running), blocker)
            if clearable and any(answer is True for answer in answers.values()):
                continue
            found.append(dataclasses.replace(blocker, host=blocker.host or self.site.host.name))
        return found

    async def begin(self) -> None:
        """Write down that the move begins, and what a recovery must know of the domain."""
        await self.write(self.record, *self.watchdog_seen(), at="begin")

    async def reserve(self) -> None:
        """Keep space back for the end of the move."""
        await self.site.journal.reserve()

    async def precopy(self, address: Address) -> None:
        """Copy the running domain; raises GuestStoppedError when something else stopped it."""
        with self.herald.step("precopy"), self._noticing_halts():
            if self.record.running:
                await self._see_running()
            progress = self.herald.progress("precopy")
            await self.command("precopy", self.outgoing.precopy, address, progress)

    async def _see_running(self) -> None:
        """PREPARE may have taken long."""
        name = self.record.domain
        if await self.site.state(name, self.definition.engine) is RunState.PAUSED:
            raise GuestStoppedError(
                f"{name} was stopped while its move was prepared",
                hint="see `domwarden status`; resume it, or migrate it paused",
            )

    @contextlib.contextmanager
    def _noticing_halts(self) -> Iterator[None]:
        """Keep in mind for an abort that it was not the move that stopped the guest."""
        try:
            yield
        except GuestStoppedError:
            self.note_later(Fact.HALTED)  # with the abort
            raise

    async def suspend(self) -> None:
        """Suspend the domain: the blackout begins."""
        with self.herald.step("suspend"), self._noticing_halts():
            await self.command("suspend", self.outgoing.suspend)
            self.suspended_at = time.monotonic()
            self.herald.tell(What.SUSPENDED, "suspend")

    async def complete(self) -> None:
        """Send the rest; this copy cannot resume by itself any more."""
        with self.herald.step("complete"):
            report = self.herald.progress("complete")

            def progress(now: Progress) -> None:
                self.site.ports.at(f"{self.end} engine complete under way")
                report(now)

            await self.command("complete", self.outgoing.complete, progress)

    async def downtime_seconds(self) -> float | None:
        """Ask the engine how long the domain stood still; None when it does not know."""
        try:
            return await self.outgoing.downtime_seconds()
        except EngineError:
            return None  # the move goes on without it

    # -- the commit point

    async def release(self) -> None:
        """Commit that the domain is given up; raises BrokenError or PermanentError if it is not."""
        with self.herald.step("release"):
            await self._decide(Decision.RELEASED, *self._released_entries())
            if self.decision is not Decision.RELEASED:
                raise PermanentError(f"the move of {self.record.domain} was aborted before")
            self.herald.tell(What.RELEASED, "release")

    def _released_entries(self) -> list[Entry]:
        record = self.record
        if record.movement is not Movement.SAVE:
            return []
        # What counts as the domain's owner and where its save lies become durable in one commit.
        gone = DomainRecord(record.domain, record.epoch, Desired.SAVED, record.definition)
        save = SaveRecord(record.nonce, record.domain, record.peer, record.epoch)
        return [gone, save, self.site.happened(record.domain, HistoryKind.SAVED, record.peer)]

    async def commit_abort(self) -> None:
        """Commit that the move is off; nothing can release the domain afterwards."""
        self.herald.tell(What.ABORTING)
        # With the record: the commit that began the move may have failed, and the other end asks.
        await self._decide(Decision.ABORTED, self.record, *self.undoing())

    async def _decide(self, wanted: Decision, *entries: Entry) -> None:
        batch = [*self._pending, *entries]
        put_off = len(self._pending)
        self.site.ports.at(f"{self.end} journal {wanted} before")
        self.decision = await self.site.journal.decide(self.record.id, wanted, *batch)
        if self.decision is wanted:
            self._wrote(batch, put_off)
        self.site.ports.at(f"{self.end} journal {wanted} after")

    # -- backwards

    async def resume(self) -> None:
        """See the source's copy back as it was; one that ended meanwhile is left as it is."""
        running = self.record.running and Fact.HALTED not in self.facts
        observation = await self.engine.observe(self.record.domain)
        if observation.state not in {RunState.ABSENT, RunState.ENDED}:
            with self.herald.step("resume"):
                await self.command("abort", self.outgoing.abort, resume=running)
                self._tell_blackout(What.RESUMED, 0.0)
        await self.note(Fact.RESUMED)

    async def take_back(self) -> None:
        """Own the domain again, under an epoch newer than the one that the destination returned."""
        record = self.record
        epoch = record.epoch + 3
        desired = Desired.RUNNING if record.running else Desired.PAUSED
        back = DomainRecord(record.domain, epoch, desired, record.definition)
        happened = self.site.happened(record.domain, HistoryKind.RETURNED, record.peer)
        await self.note(Fact.RETURNED, back, happened, *self.undoing())

    async def reclaim(self, *, cold: bool) -> None:
        """Own the domain again by a person's word, under an epoch that no fenced host can have."""
        record = self.record
        desired = Desired.RUNNING if record.running else Desired.PAUSED
        if cold:
            desired = Desired.STOPPED
        epoch = record.epoch + UNSEEN_EPOCHS
        back = DomainRecord(record.domain, epoch, desired, record.definition)
        happened = self.site.happened(record.domain, HistoryKind.RECLAIMED, record.peer)
        more = [self.fact(Fact.WRITTEN_OFF)] if cold else []
        await self.note(Fact.RECLAIMED, *more, back, happened, *self.undoing())

    # -- after the release

    def seen_running(self, ago_seconds: float) -> float | None:
        """Tell how long the domain stood still; None where this process did not suspend it."""
        self.note_later(Fact.RAN)  # with the intents to finish
        return self._tell_blackout(What.UNKNOWN, ago_seconds)

    def _tell_blackout(self, what: What, ago_seconds: float) -> float | None:
        if what is not What.UNKNOWN:
            self.herald.tell(what)
        if self.suspended_at is None:
            return None
        seconds = time.monotonic() - self.suspended_at - ago_seconds
        self.suspended_at = None
        self.herald.tell(What.BLACKOUT, seconds=seconds)
        return seconds

    async def intend_finish(self) -> None:
        """Write that the domain ran over there, and the devices' intents to finish.

        From here on no word of a person makes this copy run again.
        """
        await self.write(*self.intents(Hook.FINISH, self.left(Hook.FINISH)), at="finish intents")

    async def finish(self) -> None:
        """Tell the devices that the domain is at its destination."""
        if Fact.FINISHED not in self.facts:
            await self.finish_devices(running=False)
            self.note_later(Fact.FINISHED)  # with the end of the move

    async def stop(self) -> None:
        """Destroy the released or written-off copy, then close its devices."""
        name = f"{self.record.domain}/stop"
        with self.herald.step("stop"):
            # Beside the hypervisor's end, which takes longer than a write.
            stop = self.command("stop", self.engine.stop, self.record.domain)
            await both(stop, self.intend(Hook.CLOSE, self.left(Hook.CLOSE)), name)
        await self.close_devices()
        record = self.record
        entries: list[Entry] = []
        if Fact.WRITTEN_OFF in self.facts:
            entries = [self.site.happened(record.domain, HistoryKind.ENDED)]
        elif record.movement is Movement.MIGRATE:
            entries = [
                DomainRecord(
                    record.domain, record.epoch, Desired.MOVED, record.definition, record.peer
                ),
                self.site.happened(record.domain, HistoryKind.DEPARTED, record.peer),
            ]
        # With the end of the move: stopping again what is gone does no harm.
        self.note_later(Fact.STOPPED, *entries)

    async def close(self) -> None:
        """Mark this end as done."""
        if not self.record.done:
            await self.close_record()

    async def view(self) -> View:
        """Return what this end knows, observed now."""
        return dataclasses.replace(await super().view(), decision=self.decision)

    async def perform(self, action: Action) -> None:
        """Do what the plan says for this end."""
        if action is Action.ABORT:
            await self.commit_abort()
        elif action is Action.RELEASE:
            await self.release()
        elif action is Action.TAKE_BACK:
            await self.take_back()
        elif action is Action.RECOVER_LATE:
            await self.recover_late()
        elif action is Action.RESUME:
            await self.resume()
        elif action is Action.RECOVER_EARLY:
            await self.recover_early()
        elif action is Action.FINISH:
            await self.finish()
        elif action is Action.STOP:
            await self.stop()
        elif action is Action.CLOSE:
            await self.close()
        else:
            raise BrokenError(f"no source can {action}")


def merge(into: dict[str, Ticket | None], tickets: Mapping[str, Ticket | None]) -> None:
    """Take over the other end's tickets; a device that gave none keeps its last one."""
    into.update({device: ticket for device, ticket in tickets.items() if ticket is not None})


def refused(refusals: Sequence[Refusal]) -> list[Refusal]:
    """Return refusals without doubles, in order."""
    return list(dict.fromkeys(refusals))

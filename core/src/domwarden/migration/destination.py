"""The end that a domain arrives at."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from typing import Any, ClassVar

from domwarden.contract import (
    Address,
    Armed,
    BrokenError,
    End,
    EngineError,
    Incoming,
    Movement,
    OutcomeUnknownError,
    PermanentError,
    Refusal,
    RunState,
    Step,
    Stream,
    stream_at,
    stream_refusals,
)
from domwarden.journal import DomainRecord, Entry, HistoryKind, Hook, MigrationRecord, SaveRecord
from domwarden.migration.both import both
from domwarden.migration.moments import Observer, What
from domwarden.migration.side import Side
from domwarden.migration.site import Site
from domwarden.plan import UNSEEN_EPOCHS, Action, Desired, Fact, View, may_have_run

#: Where a guest has to arm a new timer after a move, it is looked for this often.
REARM_LOOK_SECONDS = 0.5


class DestinationSide(Side):
    """The destination's half of one move, or the whole of a restore."""

    end: ClassVar[End] = End.DESTINATION

    def __init__(self, site: Site, record: MigrationRecord, observer: Observer) -> None:
        super().__init__(site, record, observer)
        self.incoming: Incoming = self.engine.incoming(record.domain, record.id, self.peer)
        #: Whether this end's journal has the move.
        self.known = False
        self._just_granted = False

    async def recall(self) -> None:
        """Read what the journal knows of this end."""
        await super().recall()
        self.known = await self.site.journal.migration(self.record.id) is not None

    # -- forwards

    @property
    def stream(self) -> Stream:
        """How the domain's memory arrives here."""
        return stream_at(self.site.host, self.incoming.arrives_at)

    async def obstacles(self) -> list[Refusal]:
        """Return what this host itself has against receiving the domain; changes nothing."""
        record = self.record
        own = await self.site.journal.domain(record.domain)
        state = await self.site.state(record.domain, record.definition.engine)
        found = []
        if state is not RunState.ABSENT:
            found.append(
                Refusal(
                    code="already-there",
                    reason=f"{self.site.host.name} has a copy of {record.domain} ({state})",
                    remedy=f"stop it on {self.site.host.name} first",
                    host=self.site.host.name,
                )
            )
        if record.movement is Movement.MIGRATE and own is not None and own.epoch >= record.epoch:
            found.append(
                Refusal(
                    code="newer-there",
                    reason=f"{self.site.host.name} knows a newer copy of {record.domain}"
                    f" (epoch {own.epoch}, here {record.epoch})",
                    remedy="find out which copy is the right one, and stop the other",
                    host=self.site.host.name,
                )
            )
        found += [
            dataclasses.replace(refusal, host=refusal.host or self.site.host.name)
            for refusal in await self.incoming.refusals(self.definition)
        ]
        if record.movement is Movement.MIGRATE:
            found += await stream_refusals(self.site.host, self.stream)
        if await self.site.journal.unfinished(record.domain):
            found.append(
                Refusal(
                    code="unfinished",
                    reason=f"{self.site.host.name} has an unfinished move of {record.domain}",
                    remedy=f"run `domwarden recover` on {self.site.host.name}",
                    host=self.site.host.name,
                )
            )
        return found

    def _willing(self) -> None:
        if self.facts.keys() & {Fact.GAVE_UP, Fact.RETURNED, Fact.CONCEDED} or self.record.done:
            raise PermanentError(
                f"{self.site.host.name} gave the move {self.record.id} up",
                hint="start a new one",
            )

    async def open(self, source: Address | None = None) -> Address:
        """Open the devices and let a held copy wait for its stream; returns where."""
        self._willing()
        if Fact.LISTENING in self.facts:
            address: Address = self.facts[Fact.LISTENING]
            return address
        if Fact.OPENED in self.facts:
            raise PermanentError(f"{self.site.host.name} was interrupted while opening the move")
        intents = self.intents(Hook.OPEN, self.left(Hook.OPEN))
        seen = self.watchdog_seen()
        await self.write(self.record, self.fact(Fact.OPENED), *seen, *intents, at="opened")
        self.known = True
        name = f"{self.record.domain}/open"
        _, address = await both(self.site.journal.reserve(), self._listen(source), name)
        await self.note(Fact.LISTENING, **address)
        return address

    async def _listen(self, source: Address | None) -> Address:
        await self.open_devices()
        with self.herald.step("listen"):
            listen = self.incoming.listen
            heard = await self.command("listen", listen, self.definition, self.room, source)
            return dict(heard)

    async def take_step(self, step: Step) -> None:
        """Take the devices through PREPARE or START."""
        self._willing()
        await self.step(step)

    async def sync(self) -> None:
        """See stream and devices complete, and make that durable: *ready*."""
        self._willing()
        if Fact.READY in self.facts:
            return
        with self.herald.step("receive"):
            await self.command("received", self.incoming.received)
        await self.step(Step.SYNC)
        await self.note(Fact.READY)
        self.herald.tell(What.READY, "sync")

    async def grant(self, *entries: Entry) -> float:
        """Make the release durable here and let the copy run; returns how long ago it ran."""
        record = self.record
        if Fact.GRANTED not in self.facts:
            self._willing()
            if Fact.READY not in self.facts:
                raise BrokenError(f"{record.domain} was granted to a copy that was never ready")
            with self.herald.step("grant"):
                desired = Desired.RUNNING if record.running else Desired.PAUSED
                own = DomainRecord(record.domain, record.epoch + 1, desired, self.definition)
                # The intent to run is in the same commit: one less while the domain stands still.
                await self.note(Fact.GRANTED, self.fact(Fact.ACTIVATING), own, *entries)
            self._just_granted = True
            self.herald.tell(What.GRANTED, "grant")
        return await self.activate()

    async def activate(self) -> float:
        """Let the granted copy run, and see it; returns how long ago that was."""
        if Fact.RAN in self.facts:
            return 0.0
        if Fact.RETURNED in self.facts:
            raise PermanentError(f"{self.site.host.name} gave {self.record.domain} back")
        if Fact.CONCEDED in self.facts:
            raise PermanentError(f"{self.record.domain} was reclaimed by {self.record.peer}")
        if Fact.GRANTED not in self.facts:
            raise BrokenError(f"{self.record.domain} was not granted to {self.site.host.name}")
        await self.note(Fact.ACTIVATING)
        fresh = await self._never_told_to_run()
        with self.herald.step("activate"):
            try:
                await self.command("activate", self.incoming.activate, run=self.record.running)
            except OutcomeUnknownError:
                raise  # it may run: nothing here may say that it did not
            except EngineError:
                if fresh:
                    await self._note_if_dead()
                raise
            seen_at = time.monotonic()
            self.herald.tell(What.RUNNING, "activate")
        kind = HistoryKind.ARRIVED
        if self.record.movement is Movement.RESTORE:
            kind = HistoryKind.RESTORED
        happened = self.site.happened(self.record.domain, kind, self.record.peer)
        finishing = self.intents(Hook.FINISH, self.left(Hook.FINISH))
        await self.note(Fact.RAN, happened, *finishing)
        return time.monotonic() - seen_at

    async def _never_told_to_run(self) -> bool:
        """Say whether no earlier command, of this process or a dead one, may have let it run."""
        if self._just_granted:
            self._just_granted = False
            return True
        state = await self.site.state(self.record.domain, self.definition.engine)
        return state is RunState.RECEIVED

    async def _note_if_dead(self) -> None:
        observation = await self.engine.observe(self.record.domain)
        if observation.state in {RunState.ABSENT, RunState.ENDED}:
            await self.note(Fact.NEVER_RAN)

    async def finish(self) -> None:
        """Tell the devices that the domain runs here."""
        if Fact.FINISHED not in self.facts:
            await self.finish_devices(running=self.record.running)
            if self.record.done:  # closed by a process that did not know of it: no write follows
                await self.note(Fact.FINISHED)
            else:
                self.note_later(Fact.FINISHED)  # with the end of the move

    async def finish_watched(self) -> Armed:
        """Finish, and look at the watchdog meanwhile."""
        _, armed = await both(self.finish(), self.watchdog(), f"{self.record.domain}/finish")
        return armed

    async def watchdog(self) -> Armed:
        """Look whether the watchdog is armed; whatever hinders the look makes it unknown.

        A guest that has to arm a new timer after the move is given time for it.
        """
        if self.definition.watchdog is None or not self.record.running:
            return Armed.UNKNOWN
        left_seconds = self.engine.REARM_SECONDS if Fact.ARMED in self.facts else 0.0
        try:
            while True:
                armed = (await self.engine.read_watchdog(self.record.domain)).armed
                if armed is not Armed.DISARMED or left_seconds <= 0.0:
                    return armed
                await asyncio.sleep(REARM_LOOK_SECONDS)
                left_seconds -= REARM_LOOK_SECONDS
        except EngineError:
            return Armed.UNKNOWN

    # -- backwards

    async def give_up(self) -> None:
        """Make durable that this end takes no further step; once ready, only a source asks this."""
        if self.facts.keys() & {Fact.GRANTED, Fact.RETURNED}:
            raise BrokenError(f"{self.record.domain} was granted here, it cannot be given up")
        entries: list[Entry] = [] if self.known else [self.record]
        await self.note(Fact.GAVE_UP, *entries, *self.undoing())
        self.known = True

    async def discard(self) -> None:
        """Destroy the copy that never ran, and see it gone."""
        with self.herald.step("discard"):
            await self.command("discard", self.incoming.discard)
        state = await self.site.state(self.record.domain, self.definition.engine)
        if state is not RunState.ABSENT:
            raise EngineError(f"the incoming copy on {self.site.host.name} is still {state}")

    async def give_back(self) -> None:
        """See the copy dead that never ran, and make durable that the source may have it back."""
        if Fact.RAN in self.facts:
            raise BrokenError(f"{self.record.domain} ran on {self.site.host.name}")
        await self.discard()
        record = self.record
        epoch = record.epoch + 2
        entries: list[Entry] = [
            DomainRecord(record.domain, epoch, Desired.STOPPED, self.definition),
            self.site.happened(record.domain, HistoryKind.RETURNED, record.peer),
        ]
        if record.movement is Movement.RESTORE:
            # The save is whole again; under the newer epoch it is the domain's last word.
            entries.append(SaveRecord(record.nonce, record.domain, record.peer, epoch))
            entries[0] = DomainRecord(record.domain, epoch, Desired.SAVED, self.definition)
        await self.note(Fact.RETURNED, *entries, *self.undoing())

    async def concede(self) -> None:
        """Make durable that the source took the domain back, under an epoch newer than any here."""
        view = await self.view()
        if view.state in {RunState.RUNNING, RunState.PAUSED, RunState.UNKNOWN}:
            raise BrokenError(f"{self.record.domain} is {view.state} on {self.site.host.name}")
        record = self.record
        epoch = record.epoch + UNSEEN_EPOCHS - 1
        gone = DomainRecord(record.domain, epoch, Desired.MOVED, self.definition, record.peer)
        happened = self.site.happened(record.domain, HistoryKind.RECLAIMED, record.peer)
        never: list[Entry] = []
        if view.state is RunState.RECEIVED and Fact.RAN not in self.facts:
            never = [self.fact(Fact.NEVER_RAN)]  # as it is seen now, before it is destroyed
        elif may_have_run(view):
            await self.alarm(
                f"{record.peer} reclaimed {record.domain}, which may have run here: what it wrote"
                " to disks of this host is kept and belongs to no copy"
            )
        await self.note(Fact.CONCEDED, *never, gone, happened)

    async def close(self) -> None:
        """Mark this end as done; where the move went back, its devices are closed first.

        A domain that runs here is supervised from now on: starting a supervisor takes a processor
        for half a second, and before this a guest stood still or a copy was to be ended.
        """
        if self.record.done:
            return
        if Fact.RAN in self.facts and Fact.CONCEDED not in self.facts:
            await self.site.supervise(self.definition)
        elif Fact.OPENED in self.facts:
            await self.close_devices()
        await self.close_record()

    async def view(self) -> View:
        """Return what this end knows, observed now."""
        view = await super().view()
        if not self.known:
            # What is here then belongs to somebody else.
            return dataclasses.replace(view, known=False, state=RunState.ABSENT)
        if view.has(Fact.GAVE_UP) and not view.has(Fact.GRANTED):
            own = await self.site.journal.domain(self.record.domain)
            if own is not None and own.epoch > self.record.epoch + 1:
                # A later owner's by a person's word, such as a start past the fenced source.
                return dataclasses.replace(view, state=RunState.ABSENT)
        return view

    async def perform(self, action: Action) -> dict[str, Any]:
        """Do what the plan says for this end."""
        if action is Action.GIVE_UP:
            await self.give_up()
        elif action is Action.DISCARD:
            await self.discard()
        elif action is Action.GRANT:
            return {"ran_ago_seconds": await self.grant()}
        elif action is Action.ACTIVATE:
            return {"ran_ago_seconds": await self.activate()}
        elif action is Action.RETURN:
            await self.give_back()
        elif action is Action.CONCEDE:
            await self.concede()
        elif action is Action.RECOVER_LATE:
            await self.recover_late()
        elif action is Action.RECOVER_EARLY:
            await self.recover_early()
        elif action is Action.FINISH:
            return {"watchdog": await self.finish_watched()}
        elif action is Action.CLOSE:
            await self.close()
        else:
            raise BrokenError(f"no destination can {action}")
        return {}

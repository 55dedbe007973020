"""The warden of one host: every verb of the command line."""

from __future__ import annotations

import asyncio
import collections
import contextlib
from collections.abc import AsyncIterator, Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from domwarden.contract import (
    ConflictError,
    Definition,
    DomwardenError,
    Engine,
    Event,
    Expiry,
    Host,
    PermanentError,
    Refusal,
    RefusedError,
    RunState,
    TimerClock,
)
from domwarden.journal import DomainRecord, HistoryKind
from domwarden.migration import (
    Hub,
    Moved,
    Observer,
    Outcome,
    Ports,
    Reclaimable,
    Restored,
    Saved,
    Settled,
    ignore,
    live_domain,
    migrate,
    outlook,
    plan_move,
    reclaim,
    reclaimable,
    restore,
    save,
)
from domwarden.migration.request import Request, Verb
from domwarden.migration.savefile import read_manifest
from domwarden.migration.spare import Spare
from domwarden.plan import Desired, watchdog_too_short
from domwarden.warden import lifecycle
from domwarden.warden.driving import Drivers
from domwarden.warden.looks import Looks
from domwarden.warden.status import DomainStatus, status_of
from domwarden.warden.verdict import Plan

if TYPE_CHECKING:
    from domwarden.config import HostFile
    from domwarden.plugins import DomainRoom


class Warden:
    """One host in this process; an async context manager.

    ``fenced`` names peers that the operator knows to be off. ``observer`` hears every moment of
    every verb. ``in_process`` says whether this process itself drives moves: by default it does
    where domains live inside it (``Engine.OUTLIVES``), and else a process of its own that survives
    this one does. Every verb first settles what an earlier run left unfinished, and takes the
    domain's lock (ConflictError while another process acts on it).

    Such a process takes half a second to start. ``keep_driver`` has one wait for the next move all
    the time, which is for callers that live long; ``spare`` is one that waits already. Neither
    outlives the warden unless it drives a move.
    """

    def __init__(
        self,
        host_file: HostFile,
        *,
        fenced: Collection[str] = (),
        observer: Observer = ignore,
        in_process: bool | None = None,
        ports: Ports | None = None,
        keep_driver: bool = False,
        spare: Spare | None = None,
    ) -> None:
        self.host: Host = host_file.host
        self._host_file = host_file
        self._fenced = fenced
        self._in_process = in_process
        self._hub = Hub(host_file, ports or Ports(), observer=observer)
        self._drivers = Drivers(self._hub, spare, keep=keep_driver)
        #: What can be seen without settling anything.
        self.looks = Looks(self._hub)

    async def __aenter__(self) -> Warden:
        await self._hub.__aenter__()
        await self._drivers.begin()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._drivers.end()
        await self._hub.__aexit__(*exc)

    @property
    def hub(self) -> Hub:
        """This host's part in moves."""
        return self._hub

    # -- one domain's life

    async def start(
        self, definition: Definition, *, paused: bool = False, fenced: Collection[str] = ()
    ) -> Definition:
        """Start a domain; returns its live definition. ``fenced`` adds to the warden's own.

        Raises RefusedError when a peer may have it, PermanentError when it is here already.
        """
        async with self._acting(definition.name):
            known = {*self._fenced, *fenced}
            return await lifecycle.start(self._hub, definition, paused=paused, fenced=known)

    async def stop(self, name: str, *, graceful_seconds: float = 0.0) -> tuple[str, ...]:
        """End a domain and close its devices; returns what failed on the way. Idempotent."""
        async with self._acting(name):
            _, definition = await live_domain(self._hub, name)
            return await lifecycle.end(
                self._hub, name, definition, graceful_seconds=graceful_seconds
            )

    async def pause(self, name: str) -> None:
        """Stop a domain's processors; refused when its watchdog would run on and expire."""
        async with self._acting(name):
            known, engine = await self._running(name)
            definition = await self.live(name)
            if definition.watchdog is not None:
                room = self._hub.site.room(definition)
                clock = getattr(room.devices["watchdog"], "CLOCK", TimerClock.UNKNOWN)
                reading = await engine.read_watchdog(name)
                refusal = watchdog_too_short(definition, clock, reading, None)
                if refusal is not None:
                    raise RefusedError([refusal])
            await engine.pause(name)
            await self._wrote(known, Desired.PAUSED, HistoryKind.PAUSED)

    async def resume(self, name: str) -> None:
        """Let a paused domain run."""
        async with self._acting(name):
            known, definition = await live_domain(self._hub, name)
            engine = self._hub.site.engine(definition.engine)
            state = (await engine.observe(name)).state
            if state is not RunState.PAUSED:
                raise PermanentError(f"{name} is {state} on {self.host.name}, not paused")
            await engine.resume(name)
            await self._wrote(known, Desired.RUNNING, HistoryKind.RESUMED)

    async def reset(self, name: str) -> None:
        """Reset a domain as its reset button would."""
        async with self._acting(name):
            known, engine = await self._running(name)
            await engine.reset(name)
            await self._wrote(known, known.desired, HistoryKind.RESET)

    async def _running(self, name: str) -> tuple[DomainRecord, Engine]:
        known, definition = await live_domain(self._hub, name)
        engine = self._hub.site.engine(definition.engine)
        state = (await engine.observe(name)).state
        if state is not RunState.RUNNING:
            raise PermanentError(f"{name} is {state} on {self.host.name}, not running")
        return known, engine

    async def _wrote(self, known: DomainRecord, desired: Desired, kind: HistoryKind) -> None:
        site = self._hub.site
        record = DomainRecord(known.name, known.epoch, desired, known.definition)
        await site.journal.write(record, site.happened(known.name, kind))

    # -- looking

    async def status(
        self, name: str | None = None, *, observer: Observer | None = None
    ) -> list[DomainStatus]:
        """Look at every domain that was ever here, or at one.

        What an earlier run left is settled first, as far as it goes now, for which peers are asked;
        where another process acts on a domain this is only a look, and ``settled`` says so.
        """
        tried = collections.defaultdict(list)
        for settled in await self.settle(name, observer=observer):
            tried[settled.domain].append(settled)
        await self.keep_supervised(name)
        records = await self._records(name)
        return [await status_of(self._hub.site, r, tuple(tried[r.name])) for r in records]

    async def names(self) -> list[str]:
        """Return the name of every domain that was ever here."""
        return [record.name for record in await self._records(None)]

    async def keep_supervised(self, name: str | None = None) -> None:
        """Give every guarded domain whose supervisor died a new one, or one domain."""
        for record in await self._records(name):
            with contextlib.suppress(DomwardenError):  # a look at it tells what is wrong
                await self._hub.site.keep_supervised(record.name)

    async def _records(self, name: str | None) -> list[DomainRecord]:
        return await self.looks.records(name)

    async def live(self, name: str) -> Definition:
        """Return what a domain was really started with; raises PermanentError."""
        return (await live_domain(self._hub, name))[1]

    async def engine_of(self, name: str) -> Engine:
        """Return the engine of a domain that was started here."""
        return self._hub.site.engine((await self.live(name)).engine)

    async def room(self, name: str) -> DomainRoom:
        """Return the devices of a domain that was started here."""
        return self._hub.site.room(await self.live(name))

    async def events(self, name: str) -> AsyncIterator[Event]:
        """Follow a domain's events until it is gone."""
        engine = await self.engine_of(name)
        async for event in engine.events(name):
            yield event

    async def record_expiry(self, expiry: Expiry) -> None:
        """Keep one firing of a domain's watchdog."""
        await self._hub.site.journal.record_expiry(expiry)

    async def expiries(self, name: str) -> list[Expiry]:
        """Return the firings of a domain's watchdog, oldest first."""
        return await self._hub.site.journal.expiries(name)

    # -- moving

    async def plan(self, name: str, peer: str) -> Plan:
        """Say everything that would block a migration, from both ends; changes nothing.

        That includes what would be settled first, where that is stuck or the domain is not here.
        """
        here = self.host.name
        unfinished = tuple(await outlook(self._hub, name))
        refusals: list[Refusal] = []
        blackout_seconds = 0.0
        try:
            found = await plan_move(self._hub, name, peer)
            refusals += found.refusals
            blackout_seconds = found.predicted_blackout_seconds
            refusals += [one.refusal(here) for one in unfinished if one.stuck]
        except RefusedError as error:
            refusals += [*error.refusals, *(one.refusal(here) for one in unfinished)]
            for record in await self._records(name):
                if await lifecycle.interrupted(self._hub, record):
                    refusals.append(lifecycle.unfinished(name, here))
        return Plan(name, here, peer, tuple(refusals), blackout_seconds, unfinished)

    async def migrate(
        self, name: str, peer: str, *, migration: str = "", observer: Observer | None = None
    ) -> Moved:
        """Take a domain to a peer; ``migration`` is its id where the caller has chosen one.

        Raises RefusedError before anything changed, MoveFailedError after it was given up.
        """
        with self._heard_by(observer):
            if self._driven_apart((await self.live(name)).engine):
                request = Request(
                    self._host_file, Verb.MIGRATE, domain=name, peer=peer, migration=migration
                )
                await self._settle_stays(name)
                result = await self._drivers.drive(request)
                assert isinstance(result, Moved)
                return result
            async with self._acting(name):
                return await migrate(self._hub, name, peer, migration=migration)

    async def save(
        self, name: str, path: Path, *, migration: str = "", observer: Observer | None = None
    ) -> Saved:
        """Release a domain to a new directory; errors as for :meth:`migrate`."""
        with self._heard_by(observer):
            if self._driven_apart((await self.live(name)).engine):
                request = Request(
                    self._host_file, Verb.SAVE, domain=name, path=path, migration=migration
                )
                await self._settle_stays(name)
                result = await self._drivers.drive(request)
                assert isinstance(result, Saved)
                return result
            async with self._acting(name):
                return await save(self._hub, name, path, migration=migration)

    async def restore(
        self,
        path: Path,
        *,
        fenced: Collection[str] = (),
        migration: str = "",
        observer: Observer | None = None,
    ) -> Restored:
        """Take the domain of a save back; refused as ``stale-save`` when it has run since.

        ``fenced`` adds to the warden's own; ``migration`` as for :meth:`migrate`.
        """
        known = (*self._fenced, *fenced)
        manifest = await asyncio.to_thread(read_manifest, path)
        with self._heard_by(observer):
            if self._driven_apart(manifest.definition.engine):
                request = Request(
                    self._host_file, Verb.RESTORE, path=path, fenced=known, migration=migration
                )
                await self._settle_stays(manifest.definition.name)
                result = await self._drivers.drive(request)
                assert isinstance(result, Restored)
                return result
            async with self._acting(manifest.definition.name):
                return await restore(self._hub, path, fenced=known, migration=migration)

    async def reclaimable(
        self,
        name: str,
        *,
        fenced: Collection[str] = (),
        cold: bool = False,
        observer: Observer | None = None,
    ) -> Reclaimable:
        """Say what a reclaim of a domain from the fenced hosts would do, and what is against it.

        What needs nobody's word is settled first. ``fenced`` adds to the warden's own.
        """
        known = {*self._fenced, *fenced}
        with self._heard_by(observer):
            return await reclaimable(self._hub, name, fenced=known, cold=cold)

    async def reclaim(
        self,
        name: str,
        *,
        fenced: Collection[str] = (),
        cold: bool = False,
        observer: Observer | None = None,
    ) -> Settled:
        """Take a released domain back from the fenced host that it was released to.

        With ``cold`` its suspended copy is destroyed instead of resumed. ``fenced`` adds to the
        warden's own. Raises RefusedError.
        """
        known = {*self._fenced, *fenced}
        with self._heard_by(observer):
            return await reclaim(self._hub, name, fenced=known, cold=cold)

    async def settle(self, name: str | None, *, observer: Observer | None = None) -> list[Settled]:
        """Settle the unfinished moves of one domain, or of all."""
        with self._heard_by(observer):
            return [*await self._hub.settle(name), *await self._settle_stays(name)]

    async def recover(self, *, observer: Observer | None = None) -> list[Settled]:
        """Settle everything unfinished in this host's journal."""
        return await self.settle(None, observer=observer)

    @contextlib.asynccontextmanager
    async def _acting(self, name: str) -> AsyncIterator[None]:
        """Settle what an earlier run left, then hold the domain's lock; errors as the hub's."""
        async with self._hub.acting(name):
            for record in await self._records(name):
                await lifecycle.settle(self._hub, record)
            yield

    async def _settle_stays(self, name: str | None) -> list[Settled]:
        """Settle starts and stops that were interrupted: of one domain, or of all."""
        settled = []
        for record in await self._records(name):
            if not await lifecycle.interrupted(self._hub, record):
                continue
            try:
                with self._hub.lock(record.name):
                    settled.append(await lifecycle.settle(self._hub, record))
            except ConflictError as error:
                waiting = Settled("", record.name, Outcome.WAITING, error.message, busy=True)
                settled.append(waiting)
            except DomwardenError as error:
                settled.append(Settled("", record.name, Outcome.BROKEN, str(error)))
        return [one for one in settled if one is not None]

    def _driven_apart(self, engine: str) -> bool:
        if self._in_process is not None:
            return not self._in_process
        return self._hub.site.engine(engine).OUTLIVES

    @contextlib.contextmanager
    def _heard_by(self, observer: Observer | None) -> Iterator[None]:
        before = self._hub.observer
        self._hub.observer = observer or before
        try:
            yield
        finally:
            self._hub.observer = before

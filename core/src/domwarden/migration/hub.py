"""One host's part in moves: the site, its answers to peers, and the ways to them."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from domwarden.contract import (
    BrokenError,
    ConflictError,
    DomwardenError,
    End,
    Movement,
    PermanentError,
)
from domwarden.journal import MigrationRecord
from domwarden.journal.lock import DomainLock
from domwarden.migration.destination import DestinationSide
from domwarden.migration.emptying import NOBODY, Emptying
from domwarden.migration.far import FarEnd, LocalEnd, RemoteEnd
from domwarden.migration.link import Link, LocalLink, Message
from domwarden.migration.moments import Moment, Observer, What, ignore
from domwarden.migration.outcome import Outcome, Settled
from domwarden.migration.peerlink import PeerLink
from domwarden.migration.receiver import Receiver
from domwarden.migration.savefile import SaveEnd
from domwarden.migration.settling import Settling
from domwarden.migration.site import Ports, Site
from domwarden.migration.source import SourceSide
from domwarden.plan import Fact

if TYPE_CHECKING:
    from domwarden.config import HostFile, Peer
    from domwarden.migration.command import Reached

#: Wraps each link as it is made; tests lose and repeat messages here.
WrapLink = Callable[[str, Link], Link]


def _as_it_is(_peer: str, link: Link) -> Link:
    return link


class _HubLink(LocalLink):
    """The way to a peer whose host file is on this machine: its hub is in this process."""

    def __init__(self, hub: Hub) -> None:
        super().__init__(hub.receiver.answer)
        self._hub = hub

    def forget(self, migration: str) -> None:
        """Let the peer's end of a move go."""
        self._hub.receiver.forget(migration)

    async def aclose(self) -> None:
        """Close the peer's hub."""
        await self._hub.__aexit__(None, None, None)


class Hub:
    """One host in this process; an async context manager. Peers are opened when first needed.

    ``client`` is the peer that it answers, where that one has shown who it is, and ``emptying``
    who empties this host when that one asks.
    """

    def __init__(
        self,
        host_file: HostFile,
        ports: Ports,
        *,
        observer: Observer = ignore,
        wrap_link: WrapLink = _as_it_is,
        client: str = "",
        emptying: Emptying = NOBODY,
    ) -> None:
        self.ports = ports
        self.site = Site(host_file, ports)
        self.name = host_file.host.name
        self._credentials = host_file.host.credentials
        self.observer = observer
        self._wrap_link = wrap_link
        # Not self.observer itself: a verb may set its own for as long as it runs.
        self.receiver = Receiver(self.site, self.observe, self.settle_as_source, client, emptying)
        self._links: dict[str, Link] = {}

    async def __aenter__(self) -> Hub:
        await self.site.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.receiver.close()
        links = list(self._links.values())
        self._links.clear()
        await asyncio.gather(*(link.aclose() for link in links))
        await self.site.__aexit__(*exc)

    def observe(self, moment: Moment) -> None:
        """Hand a moment on to who listens now."""
        self.observer(moment)

    async def link(self, peer: str) -> Link:
        """Return the way to a peer; raises PermanentError for one that the host file lacks."""
        if peer not in self.site.peers:
            known = ", ".join(sorted(self.site.peers)) or "none"
            raise PermanentError(f"{peer} is no peer of {self.name}", hint=f"its peers: {known}")
        if peer not in self._links:
            known_by = self.site.peers[peer]
            if known_by.config is None:
                self._links[peer] = PeerLink(
                    peer,
                    lambda: self._reach(known_by),
                    self.observe,
                    silence_seconds=known_by.silence_seconds,
                )
            else:
                self._links[peer] = await self._local(peer, known_by.config)
        return self._wrap_link(peer, self._links[peer])

    async def _reach(self, peer: Peer) -> Reached:
        if peer.address is not None:
            return await self.ports.dial(peer.name, peer.address, self._credentials)
        return await self.ports.reach(peer.name, peer.command)

    async def _local(self, peer: str, path: Path) -> Link:
        host_file = self.ports.host_file(path)
        if host_file.host.name != peer:
            raise PermanentError(f"the host file {path} of peer {peer} is {host_file.host.name}'s")
        hub = Hub(host_file, self.ports, observer=self.observe, wrap_link=self._wrap_link)
        return _HubLink(await hub.__aenter__())

    def forget(self, migration: str) -> None:
        """Let the peers' ends of a move go, whose unfinished rest is in their journals."""
        for link in self._links.values():
            link.forget(migration)

    def lock(self, domain: str) -> DomainLock:
        """Return the right to act on a domain here; take it by ``with``."""
        return DomainLock(self.site.host.state_directory, domain)

    def new_id(self) -> str:
        """Make the name of a new move; short, because it stands in file names."""
        return uuid.uuid4().hex[:12]

    @contextlib.asynccontextmanager
    async def acting(self, domain: str) -> AsyncIterator[None]:
        """Settle what an earlier run left, then hold the domain's lock.

        Raises BrokenError when a person must decide first, ConflictError while another process acts
        on the domain or its unfinished move waits for the other host.
        """
        for settled in await self.settle(domain):
            if settled.outcome is Outcome.BROKEN:
                raise BrokenError(f"{domain}: {settled.detail}")
            if settled.outcome is Outcome.WAITING:
                raise ConflictError(
                    f"{domain} has an unfinished move: {settled.detail}",
                    hint="bring the other host back, then run `domwarden recover`",
                )
        with self.lock(domain):
            await self.site.keep_supervised(domain)
            yield

    # -- what an earlier run left

    async def settle(self, domain: str | None = None) -> list[Settled]:
        """Settle the unfinished moves of one domain, or of all.

        A domain that another process acts on is left to it: its outcome is ``waiting``.
        """
        settled = []
        for record in await self.site.journal.unfinished(domain):
            try:
                found = await self._settle_record(record)
                settled += [found] if found is not None else []
            except ConflictError as error:
                waiting = Settled(record.id, record.domain, Outcome.WAITING, error.message)
                settled.append(dataclasses.replace(waiting, busy=True))
            except Exception as error:  # noqa: BLE001 - one domain's trouble must not keep others waiting
                why = str(error) if isinstance(error, DomwardenError) else repr(error)
                broken = Settled(record.id, record.domain, Outcome.BROKEN, why)
                settled.append(dataclasses.replace(broken, failed=True))
        await self.site.journal.give_back_unneeded()
        return settled

    async def _settle_record(self, record: MigrationRecord) -> Settled | None:
        """Settle one move; None where somebody did since it was read."""
        if record.role is End.SOURCE:
            with self.lock(record.domain):
                return await self._settle_source(record) if await self._is_open(record) else None
        unsaid: BrokenError | None = None
        if record.movement is Movement.MIGRATE:
            # Not under this host's lock: the source will act at this end too.
            try:
                settled = await self._ask_source(record)
            except BrokenError as error:
                settled, unsaid = None, error  # its journal may be lost
            if settled is not None:
                return settled
        with self.lock(record.domain):
            found = await self.settle_destination(record) if await self._is_open(record) else None
        if unsaid is not None and found is not None and found.outcome is Outcome.WAITING:
            raise unsaid  # it never will say what this end waits for
        return found

    async def _is_open(self, record: MigrationRecord) -> bool:
        now = await self.site.journal.migration(record.id)
        return now is not None and not now.done

    async def settle_as_source(self, migration: str) -> Settled:
        """Settle a move of which this host is the source, because its destination asks."""
        record = await self.site.journal.migration(migration)
        if record is None or record.role is not End.SOURCE:
            raise BrokenError(
                f"{self.name} does not know the move {migration}, whose source it was",
                hint="its journal was lost: find out which copy is the right one",
            )
        with self.lock(record.domain):
            return await self._settle_source(record)

    async def _settle_source(self, record: MigrationRecord) -> Settled:
        source = SourceSide(self.site, record, self.observe)
        await source.recall()
        # A reclaimed domain stands still for nobody: its destination hears of it when it asks.
        alone = Fact.RECLAIMED in source.facts and not record.done
        return await self.run_settling(source, None if alone else await self._far(record))

    async def _far(self, record: MigrationRecord) -> FarEnd | None:
        if record.movement is Movement.SAVE:
            return SaveEnd(self.site, record)
        try:
            return RemoteEnd(await self.link(record.peer), record, self.name)
        except DomwardenError:  # a peer whose host file is gone does not answer
            return None

    async def _ask_source(self, record: MigrationRecord) -> Settled | None:
        """Have the source settle the move; None when it does not answer."""
        try:
            link = await self.link(record.peer)
            answer = await link.send(Message(record.id, "settle"))
        except (BrokenError, ConflictError):
            raise
        except (DomwardenError, OSError):
            return None
        finally:
            self.forget(record.id)
        return Settled.from_json(answer)

    async def settle_destination(self, record: MigrationRecord) -> Settled:
        """Settle a restore, or what a destination may decide while its source is silent."""
        side = DestinationSide(self.site, record, self.observe)
        await side.recall()
        settling = Settling(record, None, LocalEnd(side), self.ports.sleep)
        settled = await settling.run()
        self._tell(settled)
        return settled

    async def run_settling(self, source: SourceSide, far: FarEnd | None) -> Settled:
        """Bring a move of this source to an end as far as it goes now."""
        try:
            settled = await Settling(source.record, source, far, self.ports.sleep).run()
        finally:
            self.forget(source.record.id)
        self._tell(settled)
        return settled

    def _tell(self, settled: Settled) -> None:
        self.observe(
            Moment(
                self.ports.clock(),
                What.SETTLED,
                settled.domain,
                settled.migration,
                self.name,
                detail=settled.detail,
                data=settled.as_json(),
            )
        )

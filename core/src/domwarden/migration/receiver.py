"""Answers the messages of peers on one host."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from domwarden.contract import (
    Armed,
    Definition,
    End,
    Movement,
    PermanentError,
    Refusal,
    Step,
    Ticket,
)
from domwarden.journal import MigrationRecord
from domwarden.journal.lock import DomainLock
from domwarden.migration.destination import DestinationSide
from domwarden.migration.emptying import NOBODY, Emptying, check_allowed
from domwarden.migration.link import Message
from domwarden.migration.moments import Observer
from domwarden.migration.outcome import Settled
from domwarden.migration.site import Site
from domwarden.migration.source import merge
from domwarden.plan import Action, EpochAnswer

Answer = dict[str, Any]
Settle = Callable[[str], Awaitable[Settled]]


@dataclasses.dataclass
class _Guest:
    """A move that this host takes part in right now, and the right to act on its domain."""

    side: DestinationSide
    lock: DomainLock
    #: Messages of one move are handled one at a time, so that a repeated one finds the first done.
    turn: asyncio.Lock = dataclasses.field(default_factory=asyncio.Lock)


class Receiver:
    """The receiving end of a link; holds no state that the journal does not hold too.

    ``settle`` is called with a migration's id by a destination that wants its source to settle it.
    ``client`` is the only host whose moves are answered for; empty where nobody has shown who asks.
    ``emptying`` is who empties this host when that one asks.
    """

    def __init__(
        self,
        site: Site,
        observer: Observer,
        settle: Settle,
        client: str = "",
        emptying: Emptying = NOBODY,
    ) -> None:
        self.client = client
        self._emptying = emptying
        self._site = site
        self._observer = observer
        self._settle = settle
        self._guests: dict[str, _Guest] = {}

    async def answer(self, message: Message) -> Mapping[str, Any]:
        """Carry one message out; repeating one does no harm."""
        self._site.ports.at(f"link {message.step} before")
        answer = await self._answer(message)
        self._site.ports.at(f"link {message.step} after")
        return answer

    async def _answer(self, message: Message) -> Mapping[str, Any]:
        body = message.body
        if message.step == "epoch":
            return dataclasses.asdict(await self._epoch(body))
        if message.step == "memory":
            engine = self._site.engine(body["engine"])
            return {"free_bytes": await engine.free_memory_bytes()}
        if message.step == "evacuate":
            check_allowed(self._site.host.name, self.client, self._site.peers)
            return await self._emptying.asked(self.client, body)
        if message.step == "test":
            return await self._test(message)
        if message.step == "settle":
            record = await self._site.journal.migration(message.migration)
            if record is not None:
                self._check_part(record)
            return (await self._settle(message.migration)).as_json()
        guest = await self._guest(message)
        async with guest.turn:
            try:
                return await self._handle(guest.side, message)
            finally:
                if guest.side.record.done:
                    self.forget(message.migration)

    async def _epoch(self, body: Mapping[str, Any]) -> EpochAnswer:
        """Tell what this host knows of a domain, unless somebody is about to change that.

        Whoever asks has its own host's lock. So of two hosts that want a domain at once at least
        one finds the other one's lock taken: both may refuse, but not both may go on.
        """
        if DomainLock(self._site.host.state_directory, body["domain"]).taken():
            return EpochAnswer(busy=True)
        return await self._site.epoch_answer(body["domain"], body["engine"], body["nonce"])

    async def _handle(self, side: DestinationSide, message: Message) -> Answer:
        merge(side.tickets, message.body.get("tickets", {}))
        side.watchdog_before = Armed(message.body.get("armed", side.watchdog_before))
        if message.step == "look":
            return (await side.view()).as_json()
        handler = _FORWARD.get(message.step)
        if handler is not None:
            return await handler(side)
        try:
            action = Action(message.step)
        except ValueError:
            raise PermanentError(f"{self._site.host.name} knows no step {message.step}") from None
        return await side.perform(action)

    async def _test(self, message: Message) -> Answer:
        """Ask this host and its devices about a move; keeps and changes nothing."""
        record = _record(message)
        self._check_part(record)
        side = DestinationSide(self._site, record, self._observer)
        merge(side.tickets, message.body["tickets"])
        refusals: list[Refusal] = [*self._emptying.refusals(), *await side.obstacles()]
        refusals += await side.test()
        found = [refusal.as_json() for refusal in refusals]
        return {"refusals": found, "tickets": side.given, "stream": side.stream}

    async def _guest(self, message: Message) -> _Guest:
        guest = self._guests.get(message.migration)
        if guest is not None:
            return guest
        record = await self._site.journal.migration(message.migration)
        if record is None:
            record = _record(message)
        elif record.role is not End.DESTINATION:
            raise PermanentError(f"{self._site.host.name} is the source of {message.migration}")
        self._check_part(record)
        side = DestinationSide(self._site, record, self._observer)
        lock = DomainLock(self._site.host.state_directory, record.domain)
        if not record.done:
            lock.acquire()
        try:
            await side.recall()
        except BaseException:
            lock.release()
            raise
        return self._guests.setdefault(message.migration, _Guest(side, lock))

    def _check_part(self, record: MigrationRecord) -> None:
        if self.client and record.peer != self.client:
            raise PermanentError(
                f"{self.client} has no part in the move {record.id}",
                hint="each host speaks for itself, by the name in its certificate",
            )

    def forget(self, migration: str) -> None:
        """Let go of one move; what is unfinished is found again in the journal."""
        guest = self._guests.pop(migration, None)
        if guest is not None:
            guest.lock.release()

    def close(self) -> None:
        """Let go of every move."""
        for migration in list(self._guests):
            self.forget(migration)


def _record(message: Message) -> MigrationRecord:
    """Make this end's record of a move from a message that describes it."""
    move = message.body.get("move")
    if move is None:
        raise PermanentError(f"the move {message.migration} is not known here")
    return MigrationRecord(
        id=message.migration,
        domain=move["domain"],
        role=End.DESTINATION,
        movement=Movement(move["movement"]),
        peer=move["source"],
        epoch=int(move["epoch"]),
        running=bool(move["running"]),
        definition=Definition.from_json(move["definition"]),
    )


async def _open(side: DestinationSide) -> Answer:
    address = await side.open()
    return {"address": dict(address), "tickets": _tickets(side)}


async def _prepare(side: DestinationSide) -> Answer:
    await side.take_step(Step.PREPARE)
    return {"tickets": _tickets(side)}


async def _start(side: DestinationSide) -> Answer:
    await side.take_step(Step.START)
    return {"tickets": _tickets(side)}


async def _sync(side: DestinationSide) -> Answer:
    await side.sync()
    return {"tickets": _tickets(side)}


def _tickets(side: DestinationSide) -> dict[str, Ticket | None]:
    return dict(side.given)


_FORWARD: Mapping[str, Callable[[DestinationSide], Awaitable[Answer]]] = {
    "open": _open,
    "prepare": _prepare,
    "start": _start,
    "sync": _sync,
}

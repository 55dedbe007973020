"""The destination of a move, as the source's process sees it."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from typing import Any

from domwarden.contract import Armed, Refusal, Stream, Ticket
from domwarden.journal import MigrationRecord
from domwarden.migration.destination import DestinationSide
from domwarden.migration.link import Link, Message
from domwarden.plan import Action, View


class FarEnd(abc.ABC):
    """What can be asked of a destination, wherever it is."""

    #: What failed at a destination that nobody else tells of.
    alarms: Sequence[str] = ()

    @abc.abstractmethod
    async def look(self) -> View:
        """Return what the destination knows, observed now."""

    @abc.abstractmethod
    async def perform(self, action: Action) -> Mapping[str, Any]:
        """Have the destination do what the plan says."""


class RemoteEnd(FarEnd):
    """A destination behind a link."""

    def __init__(self, link: Link, record: MigrationRecord, own_name: str) -> None:
        self._link = link
        self._record = record
        self._own_name = own_name

    async def send(self, step: str, **body: Any) -> Mapping[str, Any]:
        """Send one message of this move."""
        return await self._link.send(Message(self._record.id, step, body))

    def _move(self) -> dict[str, Any]:
        """Describe the move, for a destination that may not know it."""
        record = self._record
        return {
            "domain": record.domain,
            "movement": record.movement,
            "source": self._own_name,
            "epoch": record.epoch,
            "running": record.running,
            "definition": record.definition.as_json(),
        }

    async def look(self) -> View:
        """Return what the destination knows, observed now."""
        return View.from_json(await self.send("look", move=self._move()))

    async def perform(self, action: Action) -> Mapping[str, Any]:
        """Have the destination do what the plan says."""
        return await self.send(action, move=self._move())

    async def test(
        self, tickets: Mapping[str, Ticket | None]
    ) -> tuple[list[Refusal], dict[str, Ticket | None], Stream]:
        """Ask the destination and its devices whether the move is possible, and how it arrives."""
        answer = await self.send("test", move=self._move(), tickets=tickets)
        refusals = [Refusal.from_json(r) for r in answer["refusals"]]
        return refusals, dict(answer["tickets"]), Stream(answer["stream"])

    async def open(
        self, tickets: Mapping[str, Ticket | None], watchdog_before: Armed
    ) -> Mapping[str, Any]:
        """Have the destination open its devices and listen."""
        return await self.send("open", move=self._move(), tickets=tickets, armed=watchdog_before)


class LocalEnd(FarEnd):
    """A destination in this process, for restores and for a destination whose source is silent."""

    def __init__(self, side: DestinationSide) -> None:
        self._side = side
        self.alarms = side.alarms

    async def look(self) -> View:
        """Return what the destination knows, observed now."""
        return await self._side.view()

    async def perform(self, action: Action) -> Mapping[str, Any]:
        """Have the destination do what the plan says."""
        answer = await self._side.perform(action)
        if "watchdog" in answer:  # no source hears of it
            await self._side.compare_watchdog(Armed(answer["watchdog"]))
        return answer

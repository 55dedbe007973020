"""What the next verb would settle first, looked at and left as it is."""

from __future__ import annotations

import dataclasses
from typing import Any

from domwarden.contract import ConflictError, DomwardenError, End, Movement, Refusal
from domwarden.journal import MigrationRecord
from domwarden.migration.destination import DestinationSide
from domwarden.migration.far import FarEnd, RemoteEnd
from domwarden.migration.hub import Hub
from domwarden.migration.savefile import SaveEnd
from domwarden.migration.source import SourceSide
from domwarden.plan import Action, Next, View, settle

#: Actions after which a verb goes no further until a person or the other end did something.
_STUCK = frozenset({Action.UNKNOWN, Action.WAIT, Action.BROKEN})


@dataclasses.dataclass(frozen=True)
class Unfinished:
    """A move that an earlier run left at this ``end``, and the next ``action`` that settles it.

    ``peer`` is the other host, or a save's path.
    """

    migration: str
    domain: str
    movement: Movement
    end: End
    peer: str
    action: Action
    why: str = ""

    @property
    def stuck(self) -> bool:
        """Whether a verb would stop here instead of settling it."""
        return self.action in _STUCK

    def __str__(self) -> str:
        way = "to" if self.end is End.SOURCE else "from"
        why = f" ({self.why})" if self.why else ""
        return f"{self.movement} {self.migration} {way} {self.peer}: {self.action}{why}"

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return dataclasses.asdict(self)

    def refusal(self, host: str) -> Refusal:
        """Say that it stands in the way of a move."""
        remedy = "run `domwarden recover`, or any verb on the domain, then plan again"
        if self.stuck:
            remedy = f"see what it waits for, then run `domwarden recover` on {host}"
        return Refusal("unfinished", f"{host} has an unfinished {self}", remedy, host=host)


async def outlook(hub: Hub, domain: str) -> list[Unfinished]:
    """Look at a domain's unfinished moves from here, oldest first; changes nothing."""
    found = []
    for record in await hub.site.journal.unfinished(domain):
        next_ = await _next(hub, record)
        found.append(
            Unfinished(
                migration=record.id,
                domain=record.domain,
                movement=record.movement,
                end=record.role,
                peer=record.peer,
                action=next_.action,
                why=next_.why,
            )
        )
    return found


async def _next(hub: Hub, record: MigrationRecord) -> Next:
    try:
        with hub.lock(record.domain):
            pass  # whoever holds it is about to settle the move, or drives it
        if record.role is End.SOURCE:
            return await _at_source(hub, record)
        return await _at_destination(hub, record)
    except ConflictError as error:
        return Next(Action.WAIT, record.role, error.message)
    except DomwardenError as error:
        return Next(Action.UNKNOWN, record.role, error.message)


async def _at_source(hub: Hub, record: MigrationRecord) -> Next:
    source = SourceSide(hub.site, record, hub.observe)
    await source.recall()
    return settle(await source.view(), await _far_view(hub, record))


async def _far_view(hub: Hub, record: MigrationRecord) -> View | None:
    """Look at the other end; None when it does not answer."""
    try:
        far: FarEnd = SaveEnd(hub.site, record)
        if record.movement is not Movement.SAVE:
            far = RemoteEnd(await hub.link(record.peer), record, hub.name)
        return await far.look()
    except ConflictError:
        raise
    except DomwardenError:
        return None
    finally:
        hub.forget(record.id)


async def _at_destination(hub: Hub, record: MigrationRecord) -> Next:
    side = DestinationSide(hub.site, record, hub.observe)
    await side.recall()
    from_file = record.movement is Movement.RESTORE
    alone = settle(None, await side.view(), source_is_file=from_file)
    if from_file:
        return alone
    asked = f"{record.peer}, its source, is asked first"
    return dataclasses.replace(alone, why=f"{alone.why}; {asked}" if alone.why else asked)

"""What one host knows of one domain right now."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from domwarden.contract import (
    Definition,
    Domain,
    DomwardenError,
    DriverError,
    End,
    Movement,
    Observation,
    Reading,
    RunState,
)
from domwarden.journal import DomainRecord, MigrationRecord
from domwarden.migration import Outcome, Settled, Site
from domwarden.plan import Decision, Desired, Standing, View, owner, waits_for


@dataclasses.dataclass(frozen=True)
class Operation:
    """An unfinished move of a domain, at this ``end``; ``peer`` is a host, or a save's path.

    ``waits_for`` says in words what keeps it from its end; empty where the next verb ends it.
    """

    migration: str
    movement: Movement
    end: End
    peer: str
    waits_for: str


@dataclasses.dataclass(frozen=True)
class DomainStatus:
    """One domain of one host; ``broken`` is a sentence for a person, or empty.

    ``owner`` is the host or the save that has the domain, as far as this host's journal knows.

    ``settled`` is what became of each move that an earlier run had left, when this look settled it
    or tried to; ``migration`` is the last that is still unfinished, or empty.
    """

    name: str
    host: str
    engine: str
    state: RunState
    detail: str
    desired: Desired
    epoch: int
    moved_to: str
    migration: str
    watchdog: Reading | None
    expiries: int
    devices: Mapping[str, Mapping[str, Any]]
    definition: Definition | None
    broken: str = ""
    settled: tuple[Settled, ...] = ()
    owner: str = ""
    operations: tuple[Operation, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the status as plain data."""
        return dataclasses.asdict(self)


async def status_of(
    site: Site, record: DomainRecord, settled: tuple[Settled, ...] = ()
) -> DomainStatus:
    """Look at one domain; what cannot be seen is unknown, with the reason in ``broken``."""
    definition = record.definition
    broken = "; ".join(one.detail for one in settled if one.outcome is Outcome.BROKEN)
    observation = Observation()
    watchdog: Reading | None = None
    devices: Mapping[str, Mapping[str, Any]] = {}
    if definition is not None:
        try:
            engine = site.engine(definition.engine)
            observation = await engine.observe(record.name)
            if observation.state not in {RunState.ABSENT, RunState.UNKNOWN}:
                watchdog = await _watchdog(site, definition)
                devices = _described(site, definition, observation.state)
        except DomwardenError as error:
            broken = broken or str(error)
    unfinished = await site.journal.unfinished(record.name)
    standings = [await _standing(site, move) for move in unfinished]
    return DomainStatus(
        name=record.name,
        host=site.host.name,
        engine=definition.engine if definition else "",
        state=observation.state,
        detail=observation.detail,
        desired=record.desired,
        epoch=record.epoch,
        moved_to=record.moved_to,
        migration=unfinished[-1].id if unfinished else "",
        owner=owner(site.host.name, record.desired, record.moved_to, standings),
        operations=tuple(
            Operation(
                move.id, move.movement, move.role, move.peer, _waits(move.id, standing, settled)
            )
            for move, standing in zip(unfinished, standings, strict=True)
        ),
        watchdog=watchdog,
        expiries=len(await site.journal.expiries(record.name)),
        devices=devices,
        definition=definition,
        broken=broken,
        settled=settled,
    )


async def _standing(site: Site, move: MigrationRecord) -> Standing:
    decided = await site.journal.decided(move.id)
    decision = decided.decision if decided is not None else Decision.UNDECIDED
    facts = frozenset(await site.journal.facts(move.id))
    ago = site.ports.clock() - decided.at if decided is not None else None
    view = View(decision=decision, facts=facts, running=move.running, done=move.done)
    return Standing(move.domain, move.peer, move.role, move.movement, view, ago)


def _waits(migration: str, standing: Standing, settled: tuple[Settled, ...]) -> str:
    """Say what a move waits for: by its records, where nothing else is in the way."""
    tried = next((one for one in settled if one.migration == migration), None)
    if tried is not None and (tried.busy or tried.outcome is Outcome.BROKEN):
        return tried.detail
    words = waits_for(standing)
    if tried is not None and tried.outcome is Outcome.WAITING:
        return words or tried.detail
    return words


async def _watchdog(site: Site, definition: Definition) -> Reading | None:
    if definition.watchdog is None:
        return None
    return await site.engine(definition.engine).read_watchdog(definition.name)


def _described(
    site: Site, definition: Definition, state: RunState
) -> Mapping[str, Mapping[str, Any]]:
    engine = site.engine(definition.engine)
    domain = Domain(
        definition,
        site.host,
        running=state is RunState.RUNNING,
        controls=lambda protocol: engine.control(definition.name, protocol),
    )
    answers = site.room(definition).describe(domain)
    return {
        device: {"error": str(answer)} if isinstance(answer, DriverError) else dict(answer)
        for device, answer in answers.items()
    }

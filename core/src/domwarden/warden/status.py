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
    Observation,
    Reading,
    RunState,
)
from domwarden.journal import DomainRecord
from domwarden.migration import Outcome, Settled, Site
from domwarden.plan import Desired


@dataclasses.dataclass(frozen=True)
class DomainStatus:
    """One domain of one host; ``broken`` is a sentence for a person, or empty.

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
        watchdog=watchdog,
        expiries=len(await site.journal.expiries(record.name)),
        devices=devices,
        definition=definition,
        broken=broken,
        settled=settled,
    )


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

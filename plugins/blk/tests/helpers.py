"""Domains, hosts and jobs for tests of the disk driver."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from domwarden.contract import Definition, DeviceEntry, Domain, End, Host, Movement, Refusal, Step
from domwarden_blk import Blk

MIGRATION = "m1"


@dataclasses.dataclass
class Reports:
    """A JobContext that remembers what was reported."""

    lines: list[tuple[str, int | None, int | None]] = dataclasses.field(default_factory=list)

    def report(
        self, message: str = "", *, done: int | None = None, total: int | None = None
    ) -> None:
        self.lines.append((message, done, total))


class Side:
    """One end of a move of one disk: a host, a driver object of its own, and its tickets."""

    def __init__(
        self,
        end: End,
        host: Host,
        options: dict[str, Any],
        *,
        engine: str = "qemu",
        controls: Any = None,
        movement: Movement = Movement.MIGRATE,
        migration: str = MIGRATION,
    ) -> None:
        self.blk = Blk("root", options)
        entry = DeviceEntry("root", "blk", options)
        definition = Definition("web1", "u", engine, 64 * 2**20, devices=(entry,))
        self.domain = Domain(
            definition,
            host,
            end=end,
            device="root",
            running=True,
            movement=movement,
            migration=migration,
            peer="other",
            controls=lambda protocol: (controls or {}).get(protocol),
        )
        self.other: Side | None = None
        self.given: Any = None
        self.reports = Reports()

    @property
    def view(self) -> Domain:
        ticket = self.other.given if self.other is not None else None
        return dataclasses.replace(self.domain, ticket=ticket, given=self.given)

    async def step(self, step: Step) -> list[Refusal]:
        hook = self.blk.migrate if self.domain.end is End.SOURCE else self.blk.receive
        return await self.run(hook(domain=self.view, step=step))

    async def run(self, work: Any) -> list[Refusal]:
        if work is None:
            return []
        if isinstance(work, Refusal):
            return [work]
        result = await work.run(self.reports)
        if isinstance(result, list):
            return result
        if result is not None:
            self.given = result
        return []


def pair(source: Side, destination: Side) -> None:
    source.other, destination.other = destination, source


def host(directory: Path, name: str, **blk: Any) -> Host:
    state = directory / f"state-{name}"
    (state / "domains" / "web1").mkdir(parents=True, exist_ok=True)
    return Host(name, state, {"blk": blk} if blk else {})


def codes(refusals: list[Refusal]) -> list[str]:
    return [refusal.code for refusal in refusals]

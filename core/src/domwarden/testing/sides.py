"""The two ends of a move of one device, without a hypervisor."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from domwarden.contract import (
    Definition,
    DeviceEntry,
    Domain,
    End,
    Host,
    Job,
    Movement,
    QemuArgument,
    Refusal,
    Step,
)
from domwarden.testing.jobs import Reports

MIGRATION = "m1"


class Side:
    """One end: a driver's object of its own, its view of the domain, and its last ticket."""

    def __init__(
        self,
        end: End,
        host: Host,
        driver: Callable[[str, Mapping[str, Any]], Any],
        entry: DeviceEntry,
        *,
        engine: str = "qemu",
        controls: Mapping[type, object] | None = None,
        movement: Movement | None = Movement.MIGRATE,
    ) -> None:
        definition = Definition("web1", "u", engine, 64 * 2**20, devices=(entry,))
        self.device = driver(entry.id, entry.options)
        self.domain = Domain(
            definition,
            host,
            end=end,
            device=entry.id,
            running=True,
            movement=movement,
            migration=MIGRATION if movement else "",
            peer="other",
            controls=({} if controls is None else controls).get,
        )
        self.other: Side | None = None
        self.given: Any = None
        self.reports = Reports()

    @property
    def view(self) -> Domain:
        """The domain as a hook sees it now, with the tickets of both ends."""
        ticket = self.other.given if self.other is not None else None
        return dataclasses.replace(self.domain, ticket=ticket, given=self.given)

    @property
    def directory(self) -> Path:
        """This end's directory for the domain."""
        return self.domain.directory

    async def step(self, step: Step) -> list[Refusal]:
        """Take a step of the move on this end; returns the refusals."""
        hook = self.device.migrate if self.domain.end is End.SOURCE else self.device.receive
        return await self.run(hook(domain=self.view, step=step))

    async def open(self) -> None:
        """Make what must be there before the hypervisor's process."""
        await self.run(self.device.open(domain=self.view))

    async def close(self) -> None:
        """Undo what was made before the hypervisor's process."""
        await self.run(self.device.close(domain=self.view))

    async def finish(self) -> None:
        """End the move on this end."""
        await self.run(self.device.finish(domain=self.view))

    async def recover(self, step: Step) -> None:
        """Undo the move up to a step on this end."""
        await self.run(self.device.recover(domain=self.view, step=step))

    def qemu_args(self) -> list[QemuArgument]:
        """Return what the driver puts on QEMU's command line."""
        return list(self.device.qemu_args(domain=self.view))

    async def run(self, answer: Job | Refusal | None) -> list[Refusal]:
        """Run what a hook answered, if anything, and keep its ticket; returns the refusals."""
        if answer is None:
            return []
        if isinstance(answer, Refusal):
            return [answer]
        result = await answer.run(self.reports)
        if isinstance(result, Refusal):
            return [result]
        if isinstance(result, list):
            return result
        if result is not None:
            self.given = result
        return []


def pair(source: Side, destination: Side) -> None:
    """Let each end read the other's tickets."""
    source.other, destination.other = destination, source


def codes(refusals: list[Refusal]) -> list[str]:
    """Return the codes of refusals."""
    return [refusal.code for refusal in refusals]

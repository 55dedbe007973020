"""Domains, hosts and jobs for tests of the TPM driver."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from domwarden.contract import Definition, DeviceEntry, Domain, End, Host, Movement, Refusal, Step
from domwarden_tpm_migrate import Tpm

MIGRATION = "m1"


class Quiet:
    """A JobContext that drops what is reported."""

    def report(
        self, message: str = "", *, done: int | None = None, total: int | None = None
    ) -> None:
        pass


class Side:
    """One end of a move of one TPM: a host, a driver object of its own, and its tickets."""

    def __init__(
        self,
        end: End,
        host: Host,
        options: dict[str, Any],
        *,
        engine: str = "qemu",
        controls: Any = None,
        movement: Movement | None = Movement.MIGRATE,
    ) -> None:
        self.tpm = Tpm("tpm0", options)
        entry = DeviceEntry("tpm0", "tpm", options)
        definition = Definition("web1", "u", engine, 64 * 2**20, devices=(entry,))
        self.controls = {} if controls is None else controls
        self.domain = Domain(
            definition,
            host,
            end=end,
            device="tpm0",
            running=True,
            movement=movement,
            migration=MIGRATION if movement else "",
            peer="other",
            controls=self.controls.get,
        )
        self.other: Side | None = None
        self.given: Any = None

    @property
    def view(self) -> Domain:
        ticket = self.other.given if self.other is not None else None
        return dataclasses.replace(self.domain, ticket=ticket, given=self.given)

    @property
    def directory(self) -> Path:
        return self.domain.directory

    async def step(self, step: Step) -> list[Refusal]:
        hook = self.tpm.migrate if self.domain.end is End.SOURCE else self.tpm.receive
        return await self.run(hook(domain=self.view, step=step))

    async def open(self) -> None:
        await self.run(self.tpm.open(domain=self.view))

    async def close(self) -> None:
        await self.run(self.tpm.close(domain=self.view))

    async def finish(self) -> None:
        await self.run(self.tpm.finish(domain=self.view))

    async def recover(self, step: Step) -> None:
        await self.run(self.tpm.recover(domain=self.view, step=step))

    async def run(self, work: Any) -> list[Refusal]:
        if work is None:
            return []
        if isinstance(work, Refusal):
            return [work]
        result = await work.run(Quiet())
        if isinstance(result, list):
            return result
        if result is not None:
            self.given = result
        return []


def pair(source: Side, destination: Side) -> None:
    source.other, destination.other = destination, source


def host(directory: Path, name: str, **tpm: Any) -> Host:
    state = directory / name
    state.mkdir(exist_ok=True)
    return Host(name, state, {"tpm": tpm} if tpm else {})


def codes(refusals: list[Refusal]) -> list[str]:
    return [refusal.code for refusal in refusals]

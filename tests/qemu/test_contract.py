"""The engine keeps every promise of the contract with a real guest under a real QEMU."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from domwarden.contract import Definition, Engine, Room
from domwarden.testing.console import Console
from domwarden.testing.engines import Check, engine_checks
from domwarden_qemu import QemuEngine

from ..parity.differences import MISSING
from .lab import NAME, Lab, definition, lab

pytestmark = [pytest.mark.live, pytest.mark.time_limit(240)]


@dataclasses.dataclass
class QemuBench:
    """The kit's hand on two QEMU hosts and inside the guest."""

    lab: Lab
    source: Engine
    destination: Engine
    definition: Definition
    directory: Path

    def room(self, _engine: Engine) -> Room:
        return self.lab.room

    async def answers(self, engine: Engine) -> bool:
        async with self._console(engine) as console:
            await console.wait_ready(timeout_seconds=60.0)
        return True

    async def uptime(self, engine: Engine) -> float:
        async with self._console(engine) as console:
            await console.wait_ready(timeout_seconds=60.0)
            return float(await console.command("uptime"))

    async def guard(self, engine: Engine, timeout_seconds: int) -> None:
        async with self._console(engine) as console:
            await console.wait_ready(timeout_seconds=60.0)
            await console.command(f"watchdog start {timeout_seconds}")

    async def hang(self, engine: Engine) -> None:
        async with self._console(engine) as console:
            await console.wait_ready(timeout_seconds=60.0)
            await console.command("hang irqs-off")

    async def pass_seconds(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def now_seconds(self) -> float:
        return time.monotonic()

    @contextlib.asynccontextmanager
    async def _console(self, engine: Engine) -> AsyncIterator[Console]:
        async with await Console.connect(self.lab.console(engine.host.name)) as console:
            yield console


@pytest.mark.parametrize("check", engine_checks(MISSING["qemu"]), ids=lambda check: check.__name__)
async def test_the_engine_keeps_its_promises(check: Check, tmp_path: Path) -> None:
    wanted = definition()

    @contextlib.asynccontextmanager
    async def bench() -> AsyncIterator[QemuBench]:
        async with lab(tmp_path) as made:
            source, destination = made.engine("a"), made.engine("b")
            yield QemuBench(made, source, destination, wanted, tmp_path)

    await check(bench)


def test_the_engine_is_the_one_that_the_entry_point_names() -> None:
    from importlib.metadata import entry_points

    (entry,) = entry_points(group="domwarden.engines", name="qemu")
    assert entry.load() is QemuEngine
    assert NAME

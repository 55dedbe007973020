"""Two hosts with embedded engines in this process, under one clock: an ``EngineBench``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import cast

from domwarden.contract import Definition, EmbeddedControl, Engine, Host, Room
from domwarden.embedded import EmbeddedEngine, Hypervisor, ManualClock
from domwarden.plugins import open_room

MakeRoom = Callable[[Definition, Host, Engine], Room]


class EmbeddedBench:
    """Implements the engine contract kit's bench; also of use to any test of a move.

    ``make_room`` replaces the installed drivers by others.
    """

    def __init__(
        self, definition: Definition, directory: Path, make_room: MakeRoom = open_room
    ) -> None:
        self.definition = definition
        self.directory = directory
        self.clock = ManualClock()
        hosts = [Host(name, directory / name) for name in ("a", "b")]
        self.source, self.destination = (
            EmbeddedEngine(host, Hypervisor(self.clock)) for host in hosts
        )
        self._make_room = make_room

    def room(self, engine: Engine) -> Room:
        """Return new device objects for a host."""
        return self._make_room(self.definition, engine.host, engine)

    async def type(self, engine: Engine, line: str) -> list[str]:
        """Type a line into the guest's shell; returns what it printed at once."""
        control = cast("EmbeddedControl", engine.control(self.definition.name, EmbeddedControl))
        lines = await control.command("", "type", {"line": line})
        return [str(line) for line in lines]

    async def answers(self, engine: Engine) -> bool:
        """Ping."""
        return await self.type(engine, "ping") == ["pong"]

    async def uptime(self, engine: Engine) -> float:
        """Ask for the time since boot."""
        (line,) = await self.type(engine, "uptime")
        return float(line.split()[1])

    async def guard(self, engine: Engine, timeout_seconds: int) -> None:
        """Start the kicker."""
        (line,) = await self.type(engine, f"watchdog start {timeout_seconds}")
        assert line.startswith("watchdog: armed"), line

    async def hang(self, engine: Engine) -> None:
        """Hang with interrupts off."""
        await self.type(engine, "hang irqs-off")

    async def close(self) -> None:
        """Remove every copy, and let their connections end."""
        for engine in (self.source, self.destination):
            assert engine.hypervisor is not None  # made with one
            engine.hypervisor.close()
        for _ in range(3):
            await asyncio.sleep(0)

    async def pass_seconds(self, seconds: float) -> None:
        """Advance the clock."""
        await self.clock.spend(seconds)

    def now_seconds(self) -> float:
        """Read it."""
        return self.clock.now_ns() / 1e9

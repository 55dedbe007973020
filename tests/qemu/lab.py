"""Two hosts in one process, with a real Linux guest under real QEMU between them."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from domwarden.contract import (
    Action,
    Definition,
    Event,
    EventKind,
    Host,
    MigrationSettings,
    QemuArgument,
    QemuControl,
    RunState,
    WatchdogEntry,
)
from domwarden.testing.console import Console
from domwarden.testing.require import absent, program
from domwarden_qemu import QemuEngine

from ..testbeds.guest.build import Guest, build
from ..testbeds.guest.packages import BuildError

NAME = "web1"
MOVE = "move-1"
CARD = QemuArgument("device", {"driver": "i6300esb", "id": "watchdog"})


@dataclasses.dataclass
class FixedRoom:
    """A room whose devices always want the same."""

    arguments: Mapping[str, list[QemuArgument]] = dataclasses.field(
        default_factory=lambda: {"watchdog": [CARD]}
    )

    def ask(self, hook: str, **_arguments: Any) -> dict[str, Any]:
        assert hook == "qemu_args"
        return dict(self.arguments)


def guest() -> Guest:
    """Return the built test guest, or skip the test."""
    program("qemu", "qemu-system-x86_64")
    try:
        return build()
    except BuildError as error:
        absent("qemu", f"the test guest cannot be built: {error}")


def definition(
    *,
    action: Action = Action.RESET,
    migration: MigrationSettings | None = None,
    options: Mapping[str, Any] | None = None,
) -> Definition:
    """Return a guarded domain with the test guest in it."""
    made = guest()
    return Definition(
        name=NAME,
        uuid="0e4b4b4f-4f0e-4b6e-9a0f-9f1c1a6f3c11",
        engine="qemu",
        memory_bytes=192 * 2**20,
        boot={"kernel": str(made.kernel), "cmdline": made.cmdline},
        watchdog=WatchdogEntry("i6300esb", action=action),
        migration=migration or MigrationSettings(timeout_seconds=60.0),
        options=options or {},
    )


@dataclasses.dataclass
class Lab:
    """Hosts ``a`` and ``b`` under one folder; the guest starts on ``a``."""

    root: Path
    room: FixedRoom = dataclasses.field(default_factory=FixedRoom)
    engines: list[QemuEngine] = dataclasses.field(default_factory=list)

    def engine(self, host: str) -> QemuEngine:
        """Return a new engine, as after a restart of domwarden."""
        # TCG everywhere: what holds here holds on any machine.
        made = QemuEngine(Host(host, self.root / host, {"qemu": {"accel": "tcg"}}))
        self.engines.append(made)
        return made

    def console(self, host: str) -> Path:
        return self.root / host / "domains" / NAME / "qemu" / "console"

    def pid(self, host: str) -> int:
        return int((self.root / host / "domains" / NAME / "qemu" / "pid").read_text())

    def signal(self, host: str, number: signal.Signals) -> None:
        os.kill(self.pid(host), number)

    async def boot(self, wanted: Definition) -> Definition:
        """Start the guest on ``a`` and wait for its shell; returns the live definition."""
        engine = self.engine("a")
        live = await engine.realize(wanted, self.room)
        await engine.start(live, self.room)
        async with await Console.connect(self.console("a")) as console:
            await console.wait_ready(timeout_seconds=90.0)
        return live

    async def state(self, host: str) -> RunState:
        return (await self.engine(host).observe(NAME)).state

    async def answers(self, host: str) -> None:
        """See the guest's shell answer on that host."""
        async with await Console.connect(self.console(host)) as console:
            await console.wait_ready(timeout_seconds=30.0)

    async def count(self, host: str) -> int:
        """Stop the guest's counter and return how far it came."""
        async with await Console.connect(self.console(host)) as console:
            await console.wait_ready(timeout_seconds=30.0)
            return int(await console.command("count stop"))

    async def execute(
        self, host: str, command: str, arguments: Mapping[str, Any] | None = None
    ) -> Any:
        """Give QEMU a command as a device driver does."""
        control = cast("QemuControl", self.engine(host).control(NAME, QemuControl))
        return await control.execute(command, arguments)

    async def migration(self, host: str) -> str:
        return str((await self.execute(host, "query-migrate")).get("status", "none"))

    async def clean(self) -> None:
        for engine in self.engines:
            await engine.aclose()
        for host in "ab":
            with contextlib.suppress(OSError, ValueError, KeyError):
                self.signal(host, signal.SIGCONT)
            await self.engine(host).stop(NAME)


@contextlib.asynccontextmanager
async def lab(root: Path) -> AsyncIterator[Lab]:
    """Enter a lab; everything it started is stopped at the end."""
    made = Lab(root)
    try:
        yield made
    finally:
        await made.clean()


@contextlib.asynccontextmanager
async def booted(root: Path, **wanted: Any) -> AsyncIterator[tuple[Lab, Definition]]:
    """Enter a lab whose guest answers on host ``a``."""
    async with lab(root) as made:
        yield made, await made.boot(definition(**wanted))


@contextlib.asynccontextmanager
async def following(engine: QemuEngine) -> AsyncIterator[Callable[[EventKind], Any]]:
    """Collect a domain's events; yields a function that waits for the first of one kind."""
    heard: list[Event] = []
    changed = asyncio.Condition()

    async def collect() -> None:
        async for event in engine.events(NAME):
            async with changed:
                heard.append(event)
                changed.notify_all()

    async def wait_for(kind: EventKind, *, seconds: float = 30.0) -> Event:
        async with asyncio.timeout(seconds), changed:
            await changed.wait_for(lambda: any(event.kind == kind for event in heard))
        return next(event for event in heard if event.kind == kind)

    task = asyncio.create_task(collect(), name="collect")
    await asyncio.sleep(0.2)  # events before the connection are nobody's
    try:
        yield wait_for
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], Any], *, seconds: float = 30.0) -> float:
    """Wait until an async condition holds; returns how long it took."""
    begin = time.monotonic()
    while not await condition():
        if time.monotonic() - begin > seconds:
            pytest.fail(f"not within {seconds:g} s")
        await asyncio.sleep(0.05)
    return time.monotonic() - begin


def ignore(_progress: object) -> None:
    """Take a progress report and do nothing with it."""

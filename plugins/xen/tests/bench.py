"""Two fake Xen hosts and a guest in them, as the engine contract kit wants them."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from domwarden.contract import Action, Definition, Engine, Host, Room, Tls, WatchdogEntry
from domwarden.testing.authority import Authority
from domwarden_xen.engine import XenEngine
from domwarden_xen.files import MARK
from domwarden_xen.transport import processes

from . import fake_world as fake

NAME = "web1"
UUID = "11111111-2222-3333-4444-555555555555"


class FixedRoom:
    """Devices whose answers are written down."""

    def __init__(self, answers: Mapping[str, Mapping[str, Any]]) -> None:
        self.answers = answers

    def ask(self, hook: str, **_arguments: Any) -> dict[str, Any]:
        assert hook == "xl_config"
        return dict(self.answers)


#: As the watchdog's driver answers for action reset.
GUARDED = FixedRoom({"watchdog": {"on_watchdog": "restart"}})


def definition(action: Action = Action.RESET, **more: Any) -> Definition:
    """Return a domain as from a file."""
    fields: dict[str, Any] = {
        "name": NAME,
        "uuid": UUID,
        "engine": "xen",
        "memory_bytes": 128 * 2**20,
        "boot": {"kernel": "/guest/vmlinux", "cmdline": "console=hvc0"},
        "watchdog": WatchdogEntry("xen_wdt", action=action),
        **more,
    }
    return Definition(**fields)


def engine(directory: Path, name: str, *, tls: Tls | None = None, **more: Any) -> XenEngine:
    """Return the engine of a new fake host; ``more`` are settings of the host file."""
    program = fake.install(directory / name)
    settings = {"xl": str(program), "log_directory": str(directory / name / "host" / "log"), **more}
    return XenEngine(Host(name, directory / name / "state", {"xen": settings}, tls=tls))


def host_of(one: Engine) -> Path:
    """Return where the fake Xen of an engine keeps its state."""
    return one.host.state_directory.parent / "host"


@dataclasses.dataclass
class FakeBench:
    """The kit's hand on two fake hosts and inside the guest."""

    source: Engine
    destination: Engine
    definition: Definition
    directory: Path

    def room(self, _engine: Engine) -> Room:
        return GUARDED

    async def answers(self, one: Engine) -> bool:
        for _ in range(250):
            with contextlib.suppress(AssertionError), fake.world(host_of(one)) as state:
                found = fake.find(state, NAME)
                assert found is not None
                if fake.running(found[1]) and not found[1]["guest"]["hung"]:
                    return True
            await asyncio.sleep(0.02)
        return False

    async def uptime(self, one: Engine) -> float:
        assert await self.answers(one)
        return float(fake.guest_of(host_of(one), NAME)["ran"])

    async def guard(self, one: Engine, timeout_seconds: int) -> None:
        fake.change(host_of(one), NAME, timeout=timeout_seconds)

    async def hang(self, one: Engine) -> None:
        fake.change(host_of(one), NAME, hung=True)

    async def pass_seconds(self, seconds: float) -> None:
        for one in (self.source, self.destination):
            fake.forward(host_of(one), seconds)
        await asyncio.sleep(0)

    def now_seconds(self) -> float:
        with fake.world(host_of(self.source)) as state:
            return float(state["clock"])


@contextlib.asynccontextmanager
async def bench(directory: Path, authority: Authority | None = None) -> AsyncIterator[FakeBench]:
    """Enter two hosts; their monitors end with their state, and no process outlives them.

    With an authority their streams are encrypted: nobody can say that a name stays on the machine.
    """
    if authority is None:
        source, destination = engine(directory, "a"), engine(directory, "b")
    else:
        source, destination = (
            engine(directory, name, tls=authority.host(name), migration_address="localhost")
            for name in "ab"
        )
    try:
        yield FakeBench(source, destination, definition(), directory)
    finally:
        for one in (source, destination):
            (host_of(one) / "state.json").unlink()
        await asyncio.to_thread(_end_all, f"{MARK}={directory}/".encode())


def _end_all(marked: bytes) -> None:
    """End every xl and shim of domains below a directory: their environment names it."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        identity = processes.identity(int(entry.name))
        with contextlib.suppress(OSError):
            names = (entry / "environ").read_bytes().split(b"\0")
            if any(name.startswith(marked) for name in names):
                processes.kill(*identity)

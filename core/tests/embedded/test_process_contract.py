"""The engine with a process of its own keeps every promise, in real time."""

import asyncio
import contextlib
import time

import pytest

from domwarden.contract import EmbeddedControl
from domwarden.testing.engines import Feature, engine_checks

from .helpers import ToyRoom, definition
from .processes import ended, engine_at


class ProcessBench:
    """Two hosts, each with a process of its own, in real time."""

    def __init__(self, directory):
        self.definition = definition(watchdog=None, devices=())
        self.directory = directory
        self.source, self.destination = (engine_at(directory, name, 0.2) for name in ("a", "b"))

    def room(self, engine):
        return ToyRoom(self.definition, engine.host)

    async def type(self, engine, line):
        control = engine.control(self.definition.name, EmbeddedControl)
        return await control.command("", "type", {"line": line})

    async def answers(self, engine):
        return await self.type(engine, "ping") == ["pong"]

    async def uptime(self, engine):
        return float((await self.type(engine, "uptime"))[0].split()[1])

    async def pass_seconds(self, seconds):
        await asyncio.sleep(seconds)

    def now_seconds(self):
        return time.monotonic()


@contextlib.asynccontextmanager
async def processes(directory):
    bench = ProcessBench(directory)
    async with ended(bench.source, bench.destination):
        yield bench


@pytest.mark.slow
@pytest.mark.parametrize(
    "check",
    engine_checks(missing={Feature.WATCHDOG, Feature.READ_WATCHDOG}),
    ids=lambda check: check.__name__,
)
async def test_process_backed_engine_keeps_the_promise(check, tmp_path):
    await check(lambda: processes(tmp_path))

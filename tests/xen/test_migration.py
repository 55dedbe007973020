"""The engine's two halves of a move on real Xen, without domwarden: xl and its shims break."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ..testbeds.xen import guests
from ..testbeds.xen.bed import Bed
from ..testbeds.xen.host import Host

#: Some 200 MB pass between two emulated machines.
pytestmark = [pytest.mark.live, pytest.mark.xen, pytest.mark.time_limit(600)]

INSIDE = Path(__file__).parent / "inside/mover.py"
PLACE = "/var/test/mover.py"
NAME = "mover1"
NOTES = f"/var/test/mover/domains/{NAME}/xen"
ANSWER_SECONDS = 420.0


class SaidNo(Exception):
    """The engine raised an EngineError."""


@dataclasses.dataclass
class End:
    """The engine in one dom0."""

    host: Host
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def __call__(self, verb: str, **more: Any) -> Any:
        """Have it do one thing."""
        self.writer.write(json.dumps({"do": verb, **more}).encode() + b"\n")
        return await self.heard()

    async def heard(self) -> Any:
        async with asyncio.timeout(ANSWER_SECONDS):
            answer = json.loads(await self.reader.readline())
        if "error" in answer:
            raise SaidNo(answer["error"])
        return answer["said"]

    async def kill(self, end: str, who: str) -> None:
        """Kill the ``shim`` or the ``xl`` of one end of the move."""
        pid = json.loads(await self.host.get(f"{NOTES}/{end}.json"))[who][0]
        await self.host.output("kill", "-9", str(pid))

    async def uptime(self) -> float:
        """Ask the guest itself: only one that runs answers."""
        async with guests.console(self.host, NAME) as console:
            return float(await console.command("uptime"))


@contextlib.asynccontextmanager
async def ends(bed: Bed) -> AsyncIterator[tuple[End, End]]:
    """Enter the engines of both hosts, with the guest running on the first."""
    async with contextlib.AsyncExitStack() as stack:
        made = []
        for host in bed.hosts:
            await host.put(PLACE, INSIDE.read_bytes())
            command = ["python3", PLACE, host.name, host.address]
            streams = await stack.enter_async_context(host.channel.stream(command=command))
            made.append(End(host, *streams))
        for end in made:
            assert await end.heard() == "ready"
        here, there = made
        await here("start")
        await here.uptime()
        try:
            yield here, there
        finally:
            for end in made:
                with contextlib.suppress(SaidNo):
                    await end("stop")


async def suspended(here: End, there: End, move: str) -> None:
    """Take the move until *ready* is held."""
    address = await there("listen", move=move)
    await here("precopy", move=move, address=address)
    assert await here("observe") == "suspended"
    await there("received", move=move)
    assert await there("observe") == "received"


@pytest.mark.slow
async def test_a_guest_moves_and_runs_on(bed: Bed) -> None:
    """It runs at the destination alone, where it was, and its source's xl ends content."""
    async with ends(bed) as (here, there):
        before = await here.uptime()
        await suspended(here, there, "m1")
        await here("complete", move="m1")
        assert await here("observe") == "departed"
        await bed.cut()  # from here on no end needs the other's shim
        await there("activate", move="m1")
        assert await there("observe") == "running"
        await here("stop")
        await bed.restore()
        assert await guests.names(here.host) == []
        assert await guests.names(there.host) == [NAME]
        assert await there.uptime() > before
        log = (await here.host.get(f"/var/test/mover/logs/{NAME}.xen.log")).decode()
        assert log.rstrip().endswith("Migration successful.")


@pytest.mark.slow
async def test_a_guest_whose_xl_was_killed_while_ready_was_held_comes_back(bed: Bed) -> None:
    """Nothing but libxl_domain_resume can do that."""
    async with ends(bed) as (here, there):
        before = await here.uptime()
        await suspended(here, there, "m1")
        await here.kill("source", "xl")
        await there("discard", move="m1")
        await here("abort", move="m1")
        assert await here("observe") == "running"
        assert await guests.names(there.host) == []
        assert await here.uptime() > before


async def test_a_departed_guest_comes_back_when_its_receiver_died(bed: Bed) -> None:
    """Its xl is told that the copy was destroyed, takes the name back and resumes it."""
    async with ends(bed) as (here, there):
        before = await here.uptime()
        await suspended(here, there, "m1")
        await here("complete", move="m1")
        await there.kill("destination", "xl")
        assert await there("observe") == "received"
        await there("discard", move="m1")
        assert await guests.names(there.host) == []
        await here("abort", move="m1")
        assert await here("observe") == "running"
        assert await guests.names(here.host) == [NAME]
        assert await here.uptime() > before


@pytest.mark.slow
async def test_a_saved_guest_goes_on_from_its_file(bed: Bed) -> None:
    """On the same host, after its first copy was destroyed."""
    async with ends(bed) as (here, _):
        before = await here.uptime()
        await here("precopy", move="m1", address={"file": "/var/test/stream"})
        await here("complete", move="m1")
        await here("stop")
        assert await guests.names(here.host) == []
        await here("listen", move="m2", source={"file": "/var/test/stream"})
        await here("received", move="m2")
        await here("activate", move="m2")
        assert await here.uptime() > before
        await here.host.output("rm", "/var/test/stream")

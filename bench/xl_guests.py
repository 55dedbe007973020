"""Two guests on two nested Xen hosts: one that domwarden moves, one that ``xl migrate`` moves."""

from __future__ import annotations

import abc
import asyncio
import dataclasses
import json
import time
from pathlib import Path
from typing import Any

from tests.testbeds.xen import guests
from tests.testbeds.xen.host import Host
from tests.testbeds.xen.wardens import Warden

from domwarden.migration import Moment, Timeline

from .calm import calm
from .mover import Way

MEMORY_MIB = 128
HEARTBEAT_SECONDS = 120
LIMIT_SECONDS = 400.0
RECEIVER_PORT = 8002
#: A driver that is kept ready imports what it needs; emulated, that takes its time.
CALM_SECONDS = 20.0
INSIDE = Path(__file__).with_name("dom0_warden.py")
PLACE = "/var/test/dom0_warden.py"


@dataclasses.dataclass
class Moving(abc.ABC):
    """One guest, and the two hosts in the order of its next move."""

    name: str
    wardens: tuple[Warden, Warden]
    #: What the last move consisted of, in seconds, both ends' together.
    parts: dict[str, float] = dataclasses.field(default_factory=dict)
    blackout_seconds: float | None = None

    @property
    def host(self) -> Host:
        """Where the guest is."""
        return self.wardens[0].host

    @property
    def peer(self) -> Host:
        """Where it goes next."""
        return self.wardens[1].host

    async def ask(self, *lines: str) -> str:
        """Give the guest commands; return its last answer."""
        answer = ""
        async with guests.console(self.host, self.name) as console:
            for line in lines:
                answer = await console.command(line)
        return answer

    async def move(self, way: Way) -> float:
        """Move the guest to the other host; return the total seconds."""
        self.parts = {}
        elapsed = await self._move(way)
        self.wardens = (self.wardens[1], self.wardens[0])
        return elapsed

    @abc.abstractmethod
    async def _move(self, way: Way) -> float: ...


class ByDomwarden(Moving):
    """The guest that domwarden moves."""

    async def start(self, mac: str) -> None:
        """Start it, and let it kick its watchdog."""
        await self.wardens[0].start(
            self.name,
            memory=f"{MEMORY_MIB}MiB",
            watchdog={"driver": "xen_wdt", "timeout": f"{HEARTBEAT_SECONDS}s", "action": "reset"},
            devices={"eth0": {"driver": "net", "bridge": guests.BRIDGE, "mac": mac}},
        )
        await self.ask(f"watchdog start {HEARTBEAT_SECONDS}")

    async def configuration(self) -> str:
        """Return what xl was given for it."""
        place = f"{self.wardens[0].folder}/state/domains/{self.name}/xen/domain.cfg"
        return (await self.host.get(place)).decode()

    async def _move(self, way: Way) -> float:
        if way is Way.COMMAND:
            await calm(CALM_SECONDS)
            begun = time.monotonic()
            verb = ("migrate", self.name, "--to", self.peer.name, "--timeline")
            moved = await self.wardens[0].json(*verb)
            elapsed = time.monotonic() - begun
        else:
            elapsed, moved = await self._by_call()
        if moved["alarms"]:
            raise RuntimeError(f"the move alarmed: {'; '.join(moved['alarms'])}")
        self.blackout_seconds = moved["blackout_seconds"]
        timeline = Timeline()
        for moment in moved["moments"]:
            timeline(Moment.from_json(moment))
        for span in timeline.spans():
            if not span.device:
                self.parts[span.step] = self.parts.get(span.step, 0.0) + span.seconds
        return elapsed

    async def _by_call(self) -> tuple[float, Any]:
        await self.host.put(PLACE, INSIDE.read_bytes())
        command = ["python3", PLACE, self.name, self.peer.name]
        async with self.host.channel.stream(command=command) as (reader, writer):
            async with asyncio.timeout(LIMIT_SECONDS):
                if await reader.readline() != b"ready\n":
                    raise RuntimeError("the warden in dom0 did not start")
                await calm(CALM_SECONDS)
                begun = time.monotonic()
                writer.write(b"\n")
                said = json.loads(await reader.readline())
                elapsed = time.monotonic() - begun
        if "error" in said:
            raise RuntimeError(f"the move failed: {said['error']}")
        return elapsed, said


class ByXl(Moving):
    """The guest that xl moves, by TCP instead of ssh."""

    async def start(self, model: ByDomwarden, mac: str) -> None:
        """Start a guest like the model."""
        text = (await model.configuration()).replace(f'"{model.name}"', f'"{self.name}"')
        lines = [line for line in text.splitlines() if not line.startswith(("uuid", "vif"))]
        lines.append(f'vif = ["mac={mac},bridge={guests.BRIDGE}"]\n')
        await guests.create(self.host, self.name, "\n".join(lines).encode())
        await self.ask(f"watchdog start {HEARTBEAT_SECONDS}")

    async def _move(self, way: Way) -> float:
        listener = f"TCP-LISTEN:{RECEIVER_PORT},reuseaddr"
        receiver = ["socat", "-b", "1048576", listener, "EXEC:xl migrate-receive"]
        there = f"socat -b 1048576 - TCP:{self.peer.address}:{RECEIVER_PORT}"
        async with self.peer.channel.stream(command=receiver):
            await calm(CALM_SECONDS)
            begun = time.monotonic()
            command = ["xl", "migrate", "-s", "", self.name, there]
            (await self.host.run(command, timeout_seconds=LIMIT_SECONDS)).check()
            return time.monotonic() - begun

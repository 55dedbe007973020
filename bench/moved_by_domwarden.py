"""The guest that domwarden moves."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import os
import re
import signal
import sys
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import ClassVar

from domwarden.config import load_domain, load_host
from domwarden.migration import Timeline
from domwarden.migration.site import Ports
from domwarden.warden import Warden

from .calm import calm
from .mover import NAME, Mover, Way
from .services import host_file

#: A supervisor notices within seconds that its domain is gone.
LEAVE_SECONDS = 20.0


@dataclasses.dataclass
class Domwarden(Mover):
    """The guest that domwarden moves."""

    FOLDER: ClassVar[str] = "dw"
    bytes_per_second: int = 0
    #: What the last move told.
    timeline: Timeline = dataclasses.field(default_factory=Timeline)
    #: Unix times of the last move's commits; known only when this process drove it.
    commits: list[float] = dataclasses.field(default_factory=list)

    @contextlib.asynccontextmanager
    async def warden(self) -> AsyncIterator[Warden]:
        """Enter the warden of the guest's host."""
        own = load_host(self.folder / f"{self.host}.yaml")
        async with Warden(own, in_process=True, ports=Ports(at=self._at)) as warden:
            yield warden

    def _at(self, point: str) -> None:
        if re.search(r"journal .* after$", point):
            self.commits.append(time.time())

    def commits_between(self, begin: float, end: float) -> int:
        """Count the last move's commits between two Unix times."""
        return sum(begin < at < end for at in self.commits)

    async def start(self) -> None:
        """Start the guest."""
        definition = load_domain(self.folder / "web1.yaml")
        self.bytes_per_second = definition.migration.bandwidth_bytes_per_second
        async with self.warden() as warden:
            await warden.start(definition)
        await self.prepare()

    def pid(self) -> int:
        """Return the pid of the guest's QEMU."""
        return int((self.directory(self.host) / "pid").read_text())

    def argv(self) -> list[str]:
        """Return the command line of the guest's QEMU."""
        return Path(f"/proc/{self.pid()}/cmdline").read_bytes().decode().rstrip("\0").split("\0")

    def _spans(self) -> dict[str, float]:
        found: dict[str, float] = {}
        for span in self.timeline.spans():
            if not span.device:
                found[span.step] = found.get(span.step, 0.0) + span.seconds
        return found

    async def move(self, way: Way) -> float:
        """Move it as a person does, or as a program that uses the library does."""
        self.timeline, self.commits = Timeline(), []
        elapsed = await (self._by_command() if way is Way.COMMAND else self._by_call())
        self.host = self.other
        self.parts = self._spans()
        return elapsed

    async def _by_call(self) -> float:
        async with self.warden() as warden:
            await calm()
            begun = time.monotonic()
            moved = await warden.migrate(NAME, self.other, observer=self.timeline)
            elapsed = time.monotonic() - begun
        _fine(moved.alarms)
        return elapsed

    async def _by_command(self) -> float:
        command = Path(sys.executable).with_name("domwarden")
        await calm()
        begun = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            *(command, "migrate", NAME, "--to", self.other, "--json"),
            *("-H", host_file(self.folder, self.host)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, talk = await process.communicate()
        elapsed = time.monotonic() - begun
        if process.returncode != 0:
            raise RuntimeError(f"domwarden migrate failed: {talk.decode()}")
        _fine(json.loads(out)["alarms"])
        return elapsed

    async def stop(self) -> None:
        """Stop it, and see its supervisors end."""
        try:
            async with self.warden() as warden:
                await warden.stop(NAME)
        finally:
            await self._left_alone()

    async def _left_alone(self) -> None:
        until = time.monotonic() + LEAVE_SECONDS
        while left := _named(self.folder):
            if time.monotonic() > until:
                for pid in left:
                    os.kill(pid, signal.SIGKILL)
                # The figures stand; that it happened is somebody else's to explain.
                print(f"killed {left}: they outlived the domain they belong to", file=sys.stderr)
            await asyncio.sleep(0.1)


def _fine(alarms: Sequence[str]) -> None:
    if alarms:
        raise RuntimeError(f"the move alarmed: {'; '.join(alarms)}")


def _named(folder: Path) -> list[int]:
    """Return the processes whose arguments name the folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if bytes(folder) in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue  # it ended while we looked
    return found

"""The guest that domwarden moves."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import re
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import ClassVar

from domwarden.config import load_domain, load_host
from domwarden.migration import Timeline
from domwarden.migration.site import Ports
from domwarden.warden import Warden

from .mover import HEARTBEAT_SECONDS, NAME, Mover

#: A supervisor notices within seconds that its domain is gone.
LEAVE_SECONDS = 20.0


@dataclasses.dataclass
class Domwarden(Mover):
    """The guest that domwarden moves."""

    FOLDER: ClassVar[str] = "dw"
    #: What the last move told.
    timeline: Timeline = dataclasses.field(default_factory=Timeline)
    #: Unix times of the last move's commits; known only when this process drove it.
    commits: list[float] = dataclasses.field(default_factory=list)

    @contextlib.asynccontextmanager
    async def warden(self, *, apart: bool = False) -> AsyncIterator[Warden]:
        """Enter the warden of the guest's host."""
        host_file = load_host(self.folder / f"{self.host}.yaml")
        ports = Ports(at=self._at)
        async with Warden(host_file, in_process=not apart, ports=ports) as warden:
            yield warden

    def _at(self, point: str) -> None:
        if re.search(r"journal .* after$", point):
            self.commits.append(time.time())

    def commits_between(self, begin: float, end: float) -> int:
        """Count the last move's commits between two Unix times."""
        return sum(begin < at < end for at in self.commits)

    async def start(self) -> None:
        """Start the guest and see it guarded."""
        async with self.warden() as warden:
            await warden.start(load_domain(self.folder / "web1.yaml"))
        await self.ask(f"watchdog start {HEARTBEAT_SECONDS}")

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

    async def move(self, *, apart: bool) -> float:
        """Move it as the command line does, or as a program that uses the library does."""
        self.timeline, self.commits = Timeline(), []
        async with self.warden(apart=apart) as warden:
            begun = time.monotonic()
            moved = await warden.migrate(NAME, self.other, observer=self.timeline)
            elapsed = time.monotonic() - begun
        if moved.alarms:
            raise RuntimeError(f"the move alarmed: {'; '.join(moved.alarms)}")
        self.host = self.other
        self.parts = self._spans()
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

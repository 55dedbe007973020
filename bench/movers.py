"""Two guests alike: one that domwarden moves, one that bare QMP moves."""

from __future__ import annotations

import abc
import asyncio
import contextlib
import dataclasses
import itertools
import json
import os
import re
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, ClassVar

from domwarden.config import load_domain, load_host
from domwarden.migration import Timeline
from domwarden.migration.site import Ports
from domwarden.testing.console import Console
from domwarden.warden import Warden

from . import bare

NAME = "web1"
MEMORY_MIB = 256
HEARTBEAT_SECONDS = 30
DISK_BYTES = 32 * 2**20
LIMIT_SECONDS = 120.0

HOST = """\
host: {name}
state: {name}
peers: {{{peer}: {{config: {peer}.yaml}}}}
drivers: {{qemu: {{accel: tcg}}}}
"""
DOMAIN = """\
domain: {name}
engine: qemu
memory: {memory}MiB
boot: {{kernel: {kernel}, cmdline: "{cmdline}"}}
watchdog: {{driver: i6300esb, timeout: {heartbeat}s, action: reset}}
devices:
  root: {{driver: blk, source: web1.img, format: raw, placement: shared}}
  eth0: {{driver: net, mode: user}}
migration: {{downtime_limit: 300ms, bandwidth: 10GiB/s, timeout: 2min}}
"""


@dataclasses.dataclass
class Mover(abc.ABC):
    """One guest under a folder with two hosts, ``a`` and ``b``."""

    root: Path
    host: str = "a"
    #: The last move's steps and their seconds, both ends' together.
    parts: dict[str, float] = dataclasses.field(default_factory=dict)

    FOLDER: ClassVar[str]

    @property
    def folder(self) -> Path:
        """Where both hosts are."""
        return self.root / self.FOLDER

    def directory(self, host: str) -> Path:
        """Return where that host's QEMU has its sockets."""
        return self.folder / host / "domains" / NAME / "qemu"

    @property
    def other(self) -> str:
        """The host where the guest is not."""
        return "b" if self.host == "a" else "a"

    def write(self, kernel: Path, cmdline: str) -> None:
        """Write the hosts' files, the domain's and its disk."""
        self.folder.mkdir()
        for name, peer in ("ab", "ba"):
            (self.folder / f"{name}.yaml").write_text(HOST.format(name=name, peer=peer))
        (self.folder / "web1.yaml").write_text(
            DOMAIN.format(
                name=NAME,
                memory=MEMORY_MIB,
                kernel=kernel,
                cmdline=cmdline,
                heartbeat=HEARTBEAT_SECONDS,
            )
        )
        with (self.folder / "web1.img").open("xb") as disk:
            disk.truncate(DISK_BYTES)

    async def ask(self, line: str) -> str:
        """Give the guest a command; returns its answer."""
        async with await Console.connect(self.directory(self.host) / "console") as console:
            await console.wait_ready(timeout_seconds=LIMIT_SECONDS)
            return await console.command(line)

    @abc.abstractmethod
    async def move(self, *, apart: bool) -> float:
        """Move the guest to the other host, by a process of its own or this one; total seconds."""

    @abc.abstractmethod
    async def stop(self) -> None:
        """End the guest, if there is one."""


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

    async def start(self) -> None:
        """Start the guest and see it guarded."""
        async with self.warden() as warden:
            await warden.start(load_domain(self.folder / "web1.yaml"))
        await self.ask(f"watchdog start {HEARTBEAT_SECONDS}")

    def pid(self) -> int:
        """Return the pid of the guest's QEMU."""
        record = json.loads((self.directory(self.host) / "record.json").read_text())
        return int(record["pid"])

    def argv(self) -> list[str]:
        """Return the command line of the guest's QEMU."""
        return Path(f"/proc/{self.pid()}/cmdline").read_bytes().decode().rstrip("\0").split("\0")

    def _spans(self) -> dict[str, float]:
        found: dict[str, float] = {}
        for span in self.timeline.spans():
            if not span.device:
                found[span.step] = found.get(span.step, 0.0) + span.ended_at - span.begun_at
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
        async with self.warden() as warden:
            await warden.stop(NAME)
        async with asyncio.timeout(LIMIT_SECONDS):
            while _named(self.folder):
                await asyncio.sleep(0.1)


def _named(folder: Path) -> bool:
    """Say whether a process lives whose arguments name the folder."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if bytes(folder) in path.read_bytes():
                return True
        except OSError:
            continue  # it ended while we looked
    return False


@dataclasses.dataclass
class Bare(Mover):
    """The guest that the script moves; its command lines are domwarden's own."""

    FOLDER: ClassVar[str] = "qm"
    model: str = ""
    argv: list[str] = dataclasses.field(default_factory=list)
    pid: int | None = None

    def learn(self, model: Domwarden) -> list[str]:
        """Return the other guest's present command line, with this one's host and files in it."""
        ours, theirs = str(self.folder), str(model.folder)
        return [word.replace(theirs, ours) for word in model.argv()]

    async def start(self, model: Domwarden) -> None:
        """Start a guest like the other one on host a, and see it guarded."""
        argv = self.learn(model)
        for made in [path for path in (model.folder / "a").rglob("*") if path.is_dir()]:
            for host in "ab":  # what domwarden made for QEMU's files
                place = self.folder / host / made.relative_to(model.folder / "a")
                place.mkdir(parents=True, exist_ok=True)
        directory = self.directory("a")
        self.pid = bare.spawn(argv, directory)
        await self.ask(f"watchdog start {HEARTBEAT_SECONDS}")

    async def move(self, *, apart: bool) -> float:
        """Move it by the script in a process of its own, or by its function here."""
        places = [f"{self.folder}/{host}/" for host in "ab"]
        there = f"{self.folder}/{self.other}/"
        argv = [re.sub("|".join(map(re.escape, places)), there, word) for word in self.argv]
        request: dict[str, Any] = {
            "argv": argv,
            "source": str(self.directory(self.host)),
            "destination": str(self.directory(self.other)),
            "source_pid": self.pid,
            "parameters": {"max-bandwidth": 10 * 2**30, "downtime-limit": 300},
        }
        begun = time.monotonic()
        done = await (_script(request) if apart else bare.move(request))
        elapsed = time.monotonic() - begun
        self._reap()
        self.pid, self.host = done["pid"], self.other
        pairs = itertools.pairwise(done["over"].items())
        self.parts = {name: ended - begun for (_, begun), (name, ended) in pairs}
        return elapsed

    async def stop(self) -> None:
        """Kill it."""
        if self.pid is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self._reap(0)

    def _reap(self, flags: int = os.WNOHANG) -> None:
        if self.pid is not None:
            with contextlib.suppress(ChildProcessError):  # the script's child, not ours
                os.waitpid(self.pid, flags)


async def _script(request: dict[str, Any]) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        bare.__file__,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate(json.dumps(request).encode())
    if process.returncode != 0:
        raise RuntimeError("the bare script failed")
    answer: dict[str, Any] = json.loads(out)
    return answer

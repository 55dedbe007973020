"""A guest between two hosts under one folder, whoever moves it."""

from __future__ import annotations

import abc
import asyncio
import dataclasses
import enum
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from domwarden.testing.console import Console

NAME = "web1"
MEMORY_MIB = 256
HEARTBEAT_SECONDS = 30
DISK_BYTES = 32 * 2**20
LIMIT_SECONDS = 120.0
#: What the kernel leaves of the memory; what is dirtied once a second.
FILLED_MIB, DIRTIED_MIB = 160, 16
#: How long the filling may take.
FILL_SECONDS = 5.0

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
migration: {{downtime_limit: 300ms, bandwidth: {bandwidth}, timeout: 2min}}
"""


class Way(enum.StrEnum):
    """Who drives a move."""

    #: The command line, from its start to its end; it asks the service of its host.
    COMMAND = "command"
    #: The calling program.
    HERE = "here"


@dataclasses.dataclass(frozen=True)
class Case:
    """A guest and the way its memory takes."""

    name: str
    what: str
    #: As in a domain file.
    bandwidth: str
    #: What the guest is told before it is measured.
    commands: Sequence[str] = ()


IDLE = Case("idle", "idle guest, 10 GiB/s", "10GiB/s")
#: Its pages are written, so QEMU must send them whole; then some of them again and again. 1 Gbit/s
#: is what one network card gives.
USED = Case(
    "used",
    "guest in use, 1 Gbit/s",
    "125000000B/s",
    (f"dirty {FILLED_MIB} 0", "dirty stop", f"dirty {DIRTIED_MIB} {DIRTIED_MIB}"),
)


@dataclasses.dataclass
class Mover(abc.ABC):
    """One guest under a folder with two hosts, ``a`` and ``b``."""

    root: Path
    case: Case
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

    @property
    def source(self) -> Path:
        """Where the last move's source had its sockets."""
        return self.directory(self.other)

    @property
    def destination(self) -> Path:
        """Where the last move's destination has its sockets."""
        return self.directory(self.host)

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
                bandwidth=self.case.bandwidth,
            )
        )
        with (self.folder / "web1.img").open("xb") as disk:
            disk.truncate(DISK_BYTES)

    async def ask(self, line: str) -> str:
        """Give the guest a command; returns its answer."""
        async with await Console.connect(self.directory(self.host) / "console") as console:
            await console.wait_ready(timeout_seconds=LIMIT_SECONDS)
            return await console.command(line)

    def told(self) -> str:
        """Return the ends of the hosts' logs."""
        return "\n".join(
            f"{log}: ...{log.read_text(errors='replace')[-2000:]}"
            for log in sorted(self.folder.glob("*/logs/*"))
        )

    async def prepare(self) -> None:
        """Have the guest guarded, and as the case wants it."""
        await self.ask(f"watchdog start {HEARTBEAT_SECONDS}")
        for command in self.case.commands:
            await self.ask(command)
            if command.endswith(" 0"):
                await asyncio.sleep(FILL_SECONDS)  # it never ends by itself

    @abc.abstractmethod
    async def move(self, way: Way) -> float:
        """Move the guest to the other host once the machine is calm; returns the total seconds."""

    @abc.abstractmethod
    async def stop(self) -> None:
        """End the guest, if there is one."""

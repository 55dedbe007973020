"""A guest between two hosts under one folder, whoever moves it."""

from __future__ import annotations

import abc
import dataclasses
from pathlib import Path
from typing import ClassVar

from domwarden.testing.console import Console

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

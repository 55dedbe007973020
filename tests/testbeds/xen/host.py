"""One nested Xen host: a QEMU process, its console log, and the way to its dom0."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import re
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qemu.qmp import QMPClient, QMPError

from .build import Image
from .channel import Channel, Done
from .dom0 import LIBRARY

QEMU = "qemu-system-x86_64"
QEMU_IMG = "qemu-img"
#: Debian's Xen has no shadow paging: PVH and HVM guests need nested paging.
CPU = "qemu64,+svm,+npt"
MEMORY_MIB = 1100
DOM0_MIB = 448
#: Emulated, the mitigations of processors' faults cost more than all else.
XEN_OPTIONS = " ".join(
    [
        *("xpti=off", "spec-ctrl=no", "pv-l1tf=off"),
        *("console=com1", "com1=115200,8n1", "loglvl=all", "guest_loglvl=all"),
        *("ucode=no", "bootscrub=no", f"dom0_mem={DOM0_MIB}M,max:{DOM0_MIB}M"),
    ]
)
DOM0_CMDLINE = "console=hvc0 loglevel=5 mitigations=off clocksource=xen"
BOOT_SECONDS = 240.0
READY = "DOM0-READY"
_AGENT_PORT = 7000
_TAIL_LINES = 40
#: What both dom0s see of one folder outside; `dom0-init` mounts it with the same words.
_SHARED = "/shared"
_MOUNT_SHARED = "mount -t 9p -o trans=virtio,version=9p2000.L,cache=none,msize=262144 shared"
_KEPT = "kept"
_KEEP_SECONDS = 120.0
#: linux/prctl.h
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


class BootError(Exception):
    """The host did not come up; the message ends with its console's last lines."""


@dataclass
class Host:
    """Host `name` with an address on the link; `folder` holds its sockets and its console log.

    `peer` is the other host's folder: the link is a pair of datagram sockets in the two.
    `shared` is what both dom0s see as /shared.
    """

    name: str
    address: str
    image: Image
    folder: Path
    peer: Path
    shared: Path
    channel: Channel = field(default_factory=lambda: Channel(0))
    _process: subprocess.Popen[bytes] | None = None
    _library: bytes = b""
    #: The library that was in dom0 when the machine was kept, None before.
    _kept_with: bytes | None = None

    def start(self) -> None:
        """Start QEMU, from what was kept if anything was; `ready` waits for dom0."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.shared.mkdir(exist_ok=True)
        for name in ("console.log", "link", "qmp", "console"):
            (self.folder / name).unlink(missing_ok=True)
        if self._kept_with is None:
            self._make_disk()
        with (self.folder / "qemu.log").open("wb") as log:
            self._process = subprocess.Popen(
                self._arguments(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=_die_with_parent,  # one prctl, no lock is taken
            )

    def _make_disk(self) -> None:
        """Make a disk over the image's: its content, and what `keep` keeps."""
        disk = self.folder / "disk"
        disk.unlink(missing_ok=True)
        made = ["-q", "-f", "qcow2", "-F", "raw", "-b", str(self.image.disk), str(disk)]
        try:
            subprocess.run([QEMU_IMG, "create", *made], check=True, timeout=30)
        except (OSError, subprocess.SubprocessError) as error:
            raise BootError(f"{self.name}: {QEMU_IMG} made no disk: {error}") from error

    def _arguments(self) -> list[str]:
        number = self.address.rpartition(".")[2]
        dom0 = f"{DOM0_CMDLINE} host={self.name} address={self.address}/24"
        return [
            *(QEMU, "-name", self.name, "-nodefaults", "-display", "none", "-no-reboot"),
            *("-accel", "tcg,thread=multi", "-cpu", CPU, "-m", str(MEMORY_MIB), "-smp", "1"),
            *("-kernel", str(self.image.xen), "-append", XEN_OPTIONS),
            *("-initrd", f"{self.image.kernel} {dom0},{self.image.initrd}"),
            *("-drive", f"file={self.folder}/disk,format=qcow2,if=virtio,cache=unsafe"),
            *(() if self._kept_with is None else ("-loadvm", _KEPT)),
            *("-device", "virtio-rng-pci"),
            *("-fsdev", f"local,id=shared,path={self.shared},security_model=none"),
            *("-device", "virtio-9p-pci,fsdev=shared,mount_tag=shared"),
            *("-qmp", f"unix:{self.folder}/qmp,server=on,wait=off"),
            "-chardev",
            f"socket,id=c,path={self.folder}/console,server=on,wait=off,logfile={self.folder}/console.log",
            *("-serial", "chardev:c"),
            *("-netdev", f"user,id=way,restrict=on,hostfwd=tcp:127.0.0.1:0-:{_AGENT_PORT}"),
            *("-device", "virtio-net-pci,netdev=way,romfile="),
            "-netdev",
            f"dgram,id=link,local.type=unix,local.path={self.folder}/link,remote.type=unix,remote.path={self.peer}/link",
            "-device",
            f"virtio-net-pci,id=card,netdev=link,mac=52:54:00:77:00:{int(number):02x},romfile=",
        ]

    async def ready(self, *, timeout_seconds: float = BOOT_SECONDS) -> None:
        """Wait until the agent in dom0 listens.

        Raises BootError with the console's last lines when QEMU ends or the time is over.
        """
        deadline = time.monotonic() + timeout_seconds
        while not await self._is_up():
            if not self.alive():
                raise BootError(f"{self.name}: QEMU ended\n{self.errors()}\n{self.tail()}")
            if time.monotonic() > deadline:
                raise BootError(f"{self.name} is not ready\n{self.tail()}")
            await asyncio.sleep(0.25)
        # Port 0 let the system choose: QEMU tells which one it became.
        table = await self._monitor("info usernet")
        found = re.search(r"TCP\[HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(\d+)", table)
        if found is None:
            raise BootError(f"{self.name}: no forwarded port in\n{table}")
        self.channel = Channel(int(found[1]))

    async def _is_up(self) -> bool:
        if self._kept_with is None:
            return READY in self.console_log()
        with contextlib.suppress(QMPError, OSError, TimeoutError):
            return bool((await self.qmp("query-status"))["running"])
        return False

    async def keep(self) -> None:
        """Keep the whole machine as it is: from now on `reboot` comes back to that, and quickly.

        Raises BootError when QEMU cannot.
        """
        await self.output("umount", _SHARED)  # QEMU saves no machine that has it mounted
        said = await self._monitor(f"savevm {_KEPT}", timeout_seconds=_KEEP_SECONDS)
        if said.strip():
            raise BootError(f"{self.name} cannot be kept: {said.strip()}")
        self._kept_with = self._library
        await self.output(*_MOUNT_SHARED.split(), _SHARED)

    async def run(
        self,
        command: Sequence[str],
        *,
        timeout_seconds: float = 60.0,
        stdin: bytes = b"",
        environment: Mapping[str, str] | None = None,
    ) -> Done:
        """Run a command in dom0; see Channel.run."""
        return await self.channel.run(
            command, timeout_seconds=timeout_seconds, stdin=stdin, environment=environment
        )

    async def output(self, *command: str, timeout_seconds: float = 60.0) -> str:
        """Return what a command in dom0 printed; raises Dom0Error unless it exited with 0."""
        return (await self.run(command, timeout_seconds=timeout_seconds)).check()

    async def put(self, path: str, content: bytes, *, mode: int = 0o644) -> None:
        """Write a file in dom0; see Channel.put."""
        await self.channel.put(path, content, mode=mode)

    async def get(self, path: str) -> bytes:
        """Return a file of dom0's; see Channel.get."""
        return await self.channel.get(path)

    async def qmp(
        self,
        command: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        timeout_seconds: float = 15.0,
    ) -> Any:
        """Give QEMU one command, on a connection of its own: each test has its own event loop."""
        client = QMPClient(self.name)
        async with asyncio.timeout(timeout_seconds):
            await client.connect(str(self.folder / "qmp"))
            try:
                return await client.execute(command, dict(arguments or {}))
            finally:
                await client.disconnect()

    async def _monitor(self, line: str, *, timeout_seconds: float = 15.0) -> str:
        arguments = {"command-line": line}
        return str(
            await self.qmp("human-monitor-command", arguments, timeout_seconds=timeout_seconds)
        )

    async def set_link(self, *, up: bool) -> None:
        """Plug or unplug the cable of the link: nothing passes, and no connection is closed."""
        await self.qmp("set_link", {"name": "card", "up": up})

    def freeze(self) -> None:
        """Stop the machine, hypervisor and all, as if it had lost its processor."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen machine go on."""
        self._signal(signal.SIGCONT)

    def alive(self) -> bool:
        """Say whether QEMU runs: it ends when the machine reboots or is powered off."""
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """Take the machine's power away."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=30)

    async def wait_dead(self, *, timeout_seconds: float) -> None:
        """Wait until the machine has rebooted or powered itself off; raises TimeoutError."""
        async with asyncio.timeout(timeout_seconds):
            while self.alive():  # noqa: ASYNC110 - another process ends
                await asyncio.sleep(0.25)

    async def reboot(self) -> None:
        """Take the power away and come back as it was kept, or as it was booted, with domwarden."""
        self.kill()
        self.start()
        await self.ready()
        if self._kept_with is not None:
            # It does not know how long it was away.
            await self.output("date", "-u", "-s", f"@{time.time():.0f}")
            await self.output(*_MOUNT_SHARED.split(), _SHARED)
        if self._library is not self._kept_with:
            await self.install(self._library)

    async def install(self, library: bytes) -> None:
        """Unpack what `library()` returned into dom0, in place of what was there before."""
        self._library = library
        await self.output("rm", "-rf", LIBRARY)
        await self.output("mkdir", "-p", LIBRARY)
        (await self.run(["tar", "-x", "-C", LIBRARY], stdin=library)).check()

    def console_log(self) -> str:
        """Return all that Xen and dom0 have printed on the serial line."""
        with contextlib.suppress(FileNotFoundError):
            return (self.folder / "console.log").read_text(errors="replace")
        return ""

    def errors(self) -> str:
        """Return what QEMU itself has complained about."""
        return (self.folder / "qemu.log").read_text(errors="replace")

    def tail(self) -> str:
        """Return the last lines of the console, and how QEMU ended where it did."""
        lines = self.console_log().splitlines()[-_TAIL_LINES:]
        if self._process is not None and not self.alive():
            lines.append(f"QEMU has ended with {self._process.returncode} {self.errors()}")
        return "\n".join(lines)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is None:
            raise RuntimeError(f"{self.name} was not started")
        self._process.send_signal(number)


def _die_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

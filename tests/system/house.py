"""Two hosts on this machine, each with everything a real one has, and one guarded guest."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from domwarden.config import load_domain, load_host
from domwarden.contract import DomwardenError, RunState
from domwarden.testing.console import Console
from domwarden.testing.require import absent
from domwarden.warden import DomainStatus, Warden

from ..testbeds.guest.build import Guest, build
from ..testbeds.guest.packages import BuildError
from .consoles import Consoles
from .network import make_bridge, taps

NAME = "web1"
DISK_BYTES = 16 * 2**20
#: In the environment of what a test starts, so that its processes can be told from all others.
MARK = "DOMWARDEN_TEST_HOUSE"
#: What may stay on a host that a domain has left.
KEPT = frozenset({"supervisor.lock", "supervisor.log", "tpm0.swtpm.log"})


def guest() -> Guest:
    """Return the built test guest, or skip the test."""
    for feature, program in (("qemu", "qemu-system-x86_64"), ("swtpm", "swtpm")):
        if shutil.which(program) is None:
            absent(feature, f"{program} is not installed")
    try:
        return build()
    except BuildError as error:
        absent("qemu", f"the test guest cannot be built: {error}")


class House:
    """Hosts ``a`` and ``b`` under one folder; the guest starts on ``a``."""

    def __init__(self, root: Path, consoles: Consoles) -> None:
        self.root = root
        self.consoles = consoles
        self.bridged = False

    # -- its files

    def write(
        self,
        *,
        bridged: bool = False,
        tool: Path | None = None,
        disk: Mapping[str, Any] | None = None,
        watchdog: Mapping[str, Any] | None = None,
        devices: bool = True,
        **domain: Any,
    ) -> None:
        """Write both host files and the domain's; ``devices`` gives it disk, card and TPM."""
        made = guest()
        self.bridged = bridged
        images = {host: str(self.root / host / "images") for host in "ab"}
        for host, peer in ("ab", "ba"):
            (self.root / host).mkdir(mode=0o700)
            (self.root / host / "images").mkdir()
            drivers: dict[str, Any] = {
                "qemu": {"accel": "tcg"},
                "blk": {"directories": {images[peer]: images[host]}},
                "net": {"bridges": {"br0": self.bridge(host)}},
            }
            if tool is not None:
                drivers["tpm"] = {"tool": [str(tool)]}
            if bridged:
                make_bridge(self.bridge(host))
            text = {
                "host": host,
                "state": host,
                "peers": {peer: {"config": f"{peer}.yaml"}},
                "drivers": drivers,
            }
            (self.root / f"{host}.yaml").write_text(yaml.safe_dump(text))
        with self.image("a").open("xb") as image:
            image.truncate(DISK_BYTES)
        root = {"driver": "blk", "source": str(self.image("a")), "format": "raw"}
        root |= {"placement": "mirror", "after": "delete", **(disk or {})}
        text = {
            "domain": NAME,
            "engine": "qemu",
            "memory": "192MiB",
            "boot": {"kernel": str(made.kernel), "cmdline": made.cmdline},
            "watchdog": {"driver": "i6300esb", "timeout": "30s", **(watchdog or {})},
            "migration": {"bandwidth": "10GiB/s", "timeout": "1min"},
            # No test of a house is about how soon a switchover is given up, unless it says so.
            "switchover_timeout": "10s",
            **domain,
        }
        if devices:
            text["devices"] = {
                "root": root,
                "eth0": {"driver": "net", **({"bridge": "br0"} if bridged else {"mode": "user"})},
                "tpm0": {"driver": "tpm", "move": "tool" if tool else "stream"},
            }
        (self.root / "web1.yaml").write_text(yaml.safe_dump(text))

    def image(self, host: str) -> Path:
        return self.root / host / "images" / "web1.img"

    def bridge(self, host: str) -> str:
        return f"br-{host}"

    # -- its wardens and its guest

    def warden(self, host: str) -> Warden:
        """Return a host's warden, newly started as each command's is; enter it."""
        return Warden(load_host(self.root / f"{host}.yaml"))

    async def boot(self) -> None:
        """Start the guest on ``a`` and wait for its shell."""
        async with self.warden("a") as warden:
            await warden.start(load_domain(self.root / "web1.yaml"))
        await self.console("a", seconds=120.0)

    async def console(self, host: str, *, seconds: float = 60.0) -> Console:
        """Return the console on that host once the guest answers there."""
        console = await self.consoles.on(host, seconds=seconds)
        await console.wait_ready(timeout_seconds=seconds)
        return console

    async def status(self, host: str) -> DomainStatus | None:
        async with self.warden(host) as warden:
            found = await warden.status(NAME)
        return found[0] if found else None

    async def state(self, host: str) -> RunState:
        found = await self.status(host)
        return found.state if found is not None else RunState.ABSENT

    async def owner(self) -> str:
        """Return the one host on which a copy runs, having seen the other one without."""
        states = {host: await self.state(host) for host in "ab"}
        assert sorted(states.values()) == [RunState.ABSENT, RunState.RUNNING], states
        return next(host for host, state in states.items() if state is RunState.RUNNING)

    # -- what the operating system shows

    def pid(self, host: str) -> int:
        """Return the pid of QEMU's process on a host."""
        return int((self.root / host / "domains" / NAME / "qemu" / "pid").read_text())

    def programs(self, host: str) -> list[str]:
        """Return the programs that serve the domain on a host."""
        return sorted(_words(pid)[0].rpartition("/")[2] for pid in served(self.root / host))

    def supervisors(self, host: str) -> list[int]:
        """Return the pids of the processes that follow the domain's expiries on a host."""
        return supervisors(self.root / host)

    def files(self, host: str) -> set[str]:
        """Return the files that the domain has on a host, without what may stay."""
        folders = [self.root / host / "images", self.root / host / "domains" / NAME]
        found = {path for folder in folders for path in folder.rglob("*")}
        return {str(path.relative_to(self.root / host)) for path in found if path.name not in KEPT}

    async def left(self, host: str) -> None:
        """See that the domain left nothing behind on a host."""
        assert self.programs(host) == [], self.programs(host)
        assert self.files(host) == set(), self.files(host)
        if self.bridged:
            assert taps(self.bridge(host)) == [], "a tap is left"
        await until(lambda: not self.supervisors(host), "the supervisor ends with its domain")

    async def clean(self) -> None:
        for host in "ab":
            with contextlib.suppress(OSError, ValueError):
                os.kill(self.pid(host), signal.SIGCONT)
        for host in "ab":
            if (self.root / f"{host}.yaml").exists():
                async with self.warden(host) as warden:
                    with contextlib.suppress(DomwardenError):  # what is left then is ended by pid
                        await warden.stop(NAME)


@contextlib.asynccontextmanager
async def house(root: Path, **wanted: Any) -> AsyncIterator[House]:
    """Enter two hosts with the guest up on ``a``; everything is ended afterwards, by its pid."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(MARK, str(root))
        async with Consoles(root, NAME) as consoles:
            made = House(root, consoles)
            try:
                made.write(**wanted)
                await made.boot()
                yield made
            finally:
                try:
                    await made.clean()
                finally:
                    await _end_what_is_left(root)


async def _end_what_is_left(root: Path) -> None:
    """End by pid what this test started: one that failed may have left anything."""

    def ours() -> list[int]:
        return [*marked(root), *served(root / "a"), *served(root / "b")]

    for pid in ours():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
            os.kill(pid, signal.SIGTERM)
    for _ in range(50):
        if not ours():
            return
        await asyncio.sleep(0.1)
    for pid in ours():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def marked(root: Path) -> list[int]:
    """Return the processes that this test started, this one not among them."""
    mark = f"{MARK}={root}".encode()
    return [pid for pid in pids() if pid != os.getpid() and mark in _entries(pid, "environ")]


def supervisors(state_directory: Path) -> list[int]:
    """Return the processes that follow the expiries of a host's domains."""
    state = f'"state_directory": "{state_directory}"'
    return [
        pid
        for pid in pids()
        if (words := _words(pid))[1:3] == ["-m", "domwarden.watchdog.process"]
        and state in words[-1]
    ]


def drivers(root: Path) -> tuple[int, int]:
    """Return the pids of a move's watcher and of the process that it watches."""
    found = [pid for pid in marked(root) if "domwarden.migration.driver" in _words(pid)]
    (pair,) = [(_parent(pid), pid) for pid in found if _parent(pid) in found]
    return pair


def alive(pid: int) -> bool:
    """Say whether a process is there and no mere zombie."""
    return bool(_words(pid))


def served(place: Path) -> list[int]:
    """Return QEMU's and swtpm's processes whose files are on that host."""
    return [pid for pid in pids() if _is_of(_words(pid), place)]


def _is_of(words: list[str], place: Path) -> bool:
    program = words[0].rpartition("/")[2] if words else ""
    known = program.startswith("qemu-system") or program == "swtpm"
    return known and any(f"{place}/" in word for word in words)


def _entries(pid: int, name: str) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes().split(b"\0")
    except OSError:
        return []


def _words(pid: int) -> list[str]:
    return [entry.decode(errors="replace") for entry in _entries(pid, "cmdline")][:-1]


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


async def until(
    condition: Callable[[], bool | Awaitable[bool]], what: str, *, seconds: float = 30.0
) -> None:
    """Wait for a condition; fails with ``what`` when it does not come."""
    end = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer if isinstance(answer, bool) else await answer:
            return
        if time.monotonic() > end:
            pytest.fail(f"not within {seconds:g} s: {what}")
        await asyncio.sleep(0.1)

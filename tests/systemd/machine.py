"""A real systemd, first process of namespaces of its own, that knows only the units it is given."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from domwarden.testing.require import absent, program

SCRIPT = Path(__file__).parent / "machine.sh"
SECONDS = 60.0

#: What units with default dependencies are ordered against; nothing else is started.
TARGETS = ("basic", "default", "sysinit", "shutdown", "local-fs", "network-online", "multi-user")
TARGET = "[Unit]\nDescription={0}\nDefaultDependencies=no\n"


class Machine:
    """What a person does there as root; processes are known by the pids that this test sees."""

    def __init__(self, pid: int, units: Path) -> None:
        self.pid = pid
        self.units = units
        #: The control group of systemd's root slice; its files tell pids as their reader sees them.
        self.group = Path(f"/proc/{pid}/root/sys/fs/cgroup")

    def run(self, *command: str) -> str:
        """Run a program there and return its output; raises CalledProcessError."""
        kinds = ("--mount", "--pid", "--cgroup", "--uts", "--ipc", "--net")
        enter = ["nsenter", f"--target={self.pid}", *kinds, "--", *command]
        done = subprocess.run(enter, capture_output=True, text=True, timeout=SECONDS, check=False)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def systemctl(self, *words: str) -> str:
        return self.run("systemctl", *words)

    def shown(self, unit: str, name: str) -> str:
        """Return a property of a unit."""
        return self.systemctl("show", "--value", f"--property={name}", unit).strip()

    def processes(self, group: str) -> dict[int, list[str]]:
        """Return the command lines of all processes of a control group, by their pids."""
        found = {}
        with contextlib.suppress(FileNotFoundError):  # a group is gone with its last process
            for pid in map(int, (self.group / group / "cgroup.procs").read_text().split()):
                with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                    found[pid] = Path(f"/proc/{pid}/cmdline").read_text().split("\0")[:-1]
        return found


@contextlib.contextmanager
def machine(directory: Path, *units: Path) -> Iterator[Machine]:
    """Enter a machine whose systemd has copies of these units; it may write to the directory only.

    Where there can be none, the calling test is skipped, or fails if systemd is required.
    """
    if os.geteuid() != 0:
        absent("systemd", "its namespaces need root")
    systemd = shutil.which("systemd", path="/usr/lib/systemd:/lib/systemd")
    if systemd is None:
        absent("systemd", "it is not installed")
    for name in ("systemctl", "systemd-run", "unshare", "nsenter", "mount", "ip"):
        program("systemd", name)
    folder = directory / "units"
    folder.mkdir()
    for target in TARGETS:
        (folder / f"{target}.target").write_text(TARGET.format(target))
    for unit in units:
        shutil.copy(unit, folder)
    log = directory / "machine.log"
    # `container` is how systemd learns that the machine's hardware is not its own.
    command = ["env", "-i", "container=domwarden", f"SYSTEMD_UNIT_PATH={folder}"]
    command += [f"PATH={os.environ['PATH']}", systemd, "--system", "--log-target=null"]
    with (
        log.open("ab") as output,
        subprocess.Popen(
            ["unshare", "--mount", "--propagation=private", str(SCRIPT), str(directory), *command],
            stdin=subprocess.PIPE, stdout=output, stderr=output,
        ) as process,
    ):  # fmt: skip
        made = None
        try:
            made = Machine(_first(process, log), folder)
            until(lambda: _answers(made), "systemd answers")
            yield made
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(SECONDS)


def _first(process: subprocess.Popen[bytes], log: Path) -> int:
    """Return the pid of systemd, once its namespaces are all made."""
    end = time.monotonic() + SECONDS
    while (pid := _named(process.pid, "systemd")) is None:
        if process.poll() is not None or time.monotonic() > end:
            words = log.read_text().strip().splitlines() or ["it said nothing"]
            absent("systemd", f"it has no namespaces of its own here: {words[-1]}")
        time.sleep(0.05)
    return pid


def _named(ancestor: int, name: str) -> int | None:
    for pid in _descendants(ancestor):
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/comm").read_text() == f"{name}\n":
                return pid
    return None


def _descendants(pid: int) -> Iterator[int]:
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, task.read_text().split()):
                yield child
                yield from _descendants(child)


def _answers(made: Machine) -> bool:
    try:
        return made.systemctl("is-system-running").strip() == "running"
    except AssertionError:
        return False


def until(condition: Callable[[], bool], what: str, seconds: float = SECONDS) -> None:
    """Wait for a condition; fails with ``what`` when it does not come."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            pytest.fail(f"not within {seconds:g} s: {what}")
        time.sleep(0.1)

"""Checks that need no command: daemons by their pid files, load, memory."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from domwarden.guard.health import Outcome

Look = Callable[[], Outcome]

_PROC = Path("/proc")


def daemon_runs(pid_file: Path) -> Outcome:
    """Say whether the process that a pid file names is there."""
    try:
        with pid_file.open() as file:
            pid = int(file.read(32).split()[0])
    except OSError as error:
        return Outcome(False, f"{pid_file}: {error.strerror}")
    except (ValueError, IndexError):
        return Outcome(False, f"{pid_file}: holds no number of a process")
    if pid <= 0:  # kill() would mean a group of processes, or all
        return Outcome(False, f"{pid_file}: {pid} is no number of a process")
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return Outcome(False, f"{pid_file}: no process {pid}")
    except PermissionError:
        pass  # it is somebody else's, and it is there
    return Outcome(True)


def load_is_below(limits: dict[str, float], proc: Path = _PROC) -> Outcome:
    """Say whether the averages of the load (``/proc/loadavg``) are within their limits."""
    try:
        found = [float(word) for word in (proc / "loadavg").read_text().split()[:3]]
        averages = dict(zip(("one_minute", "five_minutes", "fifteen_minutes"), found, strict=True))
    except (OSError, ValueError) as error:
        return Outcome(False, f"{proc}/loadavg: {error}")
    over = [
        f"{average.replace('_', ' ')}: {averages[average]:g}, at most {limit:g}"
        for average, limit in limits.items()
        if averages[average] > limit
    ]
    return Outcome(not over, "; ".join(over))


def memory_is_free(least_bytes: int, proc: Path = _PROC) -> Outcome:
    """Say whether enough memory is available (``MemAvailable`` of ``/proc/meminfo``)."""
    try:
        for line in (proc / "meminfo").read_text().splitlines():
            name, _, rest = line.partition(":")
            if name == "MemAvailable":
                free = int(rest.split()[0]) * 1024
                words = f"{free // 2**20} MiB are available, at least {least_bytes // 2**20} wanted"
                return Outcome(free >= least_bytes, "" if free >= least_bytes else words)
    except (OSError, ValueError, IndexError) as error:
        return Outcome(False, f"{proc}/meminfo: {error}")
    return Outcome(False, f"{proc}/meminfo: tells no MemAvailable")

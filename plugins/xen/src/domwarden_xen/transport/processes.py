"""Processes of this host by pid and start time, so that a recycled pid is not mistaken."""

from __future__ import annotations

import os
import signal
from pathlib import Path


def boot_id() -> str:
    """Return this boot's identity (proc(5)); Xen and dom0 boot together."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def identity(pid: int) -> tuple[int, int]:
    """Return pid and start time in clock ticks since boot; (0, 0) for one that is gone."""
    fields = _stat(pid)
    return (pid, int(fields[19])) if fields else (0, 0)


def lives(pid: int, start_time: int) -> bool:
    """Say whether exactly that process is there and not a zombie."""
    fields = _stat(pid)
    return bool(fields) and int(fields[19]) == start_time and fields[0] not in "ZX"


def kill(pid: int, start_time: int) -> None:
    """End exactly that process at once; one that is gone already is left alone."""
    try:
        descriptor = os.pidfd_open(pid)
    except (ProcessLookupError, OverflowError, OSError):
        return
    try:
        if lives(pid, start_time):
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    except ProcessLookupError:
        pass  # it ended in this moment
    finally:
        os.close(descriptor)


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat from the third on (the second may hold blanks)."""
    if pid <= 0:
        return []
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return text.rpartition(")")[2].split()

"""Finds out which process holds a lock file."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

#: So much of a command line tells what it is.
_SHOWN_WORDS = 4


@dataclasses.dataclass(frozen=True)
class Holder:
    """A process that holds a lock, and the words of its command line."""

    pid: int
    command: tuple[str, ...]

    def __str__(self) -> str:
        return f"process {self.pid} ({' '.join(self.command[:_SHOWN_WORDS]) or 'unknown'})"


def holder_of(path: Path) -> Holder | None:
    """Return who holds the file's flock; None where nobody does, or the kernel does not tell.

    Linux lists locks with pid and ``major:minor:inode`` (proc_locks(5)).
    """
    try:
        status = path.stat()
        lines = Path("/proc/locks").read_text().splitlines()
    except OSError:
        return None
    device = status.st_dev
    wanted = f"{os.major(device):02x}:{os.minor(device):02x}:{status.st_ino}"
    for line in lines:
        words = line.split()
        # A line with "->" in second place waits for the lock of the line before.
        if len(words) > 5 and words[1] == "FLOCK" and words[5] == wanted and int(words[4]) > 0:
            return Holder(int(words[4]), _command(int(words[4])))
    return None


def _command(pid: int) -> tuple[str, ...]:
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ()
    return tuple(raw.decode(errors="replace").rstrip("\0").split("\0"))

"""xl's own monitor of a domain: whether it lives, and what it wrote down.

``xl create`` leaves a process behind that waits for the domain's end and then does what
``on_watchdog`` and its like say.  It ends for good at any suspend, so after a save or a migration
that was given up nobody acts any more unless we do.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

from .files import MARK, Files
from .finding import INCOMING

_BEGIN = re.compile(r"^Waiting for domain .* \(domid (?P<domid>\d+)\) to die", re.MULTILINE)
_END = re.compile(r"^Domain (?P<domid>\d+) has shut down, reason code (?P<code>\d+)", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class End:
    """One end of one domain: its number then, and Xen's shut-down code."""

    domid: int
    code: int


def alive(files: Files) -> bool:
    """Say whether an xl is at work for the domain: its monitor, or one that makes it."""
    return next(pids(files), None) is not None


def pids(files: Files) -> Iterator[int]:
    """Yield the processes of xl that are at work for the domain."""
    wanted = f"{MARK}={files.directory}".encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if (entry / "comm").read_text().strip() != "xl":
                continue
            environment = (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            continue  # it ended while we looked, or is not ours to read
        if wanted in environment:
            yield int(entry.name)


def ends(log_directory: Path, name: str) -> list[End]:
    """Return the ends that the domain's monitors of this host wrote down, oldest first.

    libxl gives a log to each monitor by the name its domain had then, and keeps the last ones under
    other names.
    """
    found: list[End] = []
    for text in _texts(log_directory, name):
        found += [End(int(match["domid"]), int(match["code"])) for match in _END.finditer(text)]
    return found


def unmade(log_directory: Path, name: str) -> End | None:
    """Return the last end, unless a monitor has waited for a later domid since.

    One that makes the domain again waits for it; if that fails it gives up without a word here.
    """
    last = max(ends(log_directory, name), key=lambda end: end.domid, default=None)
    return None if last is None or last.domid < newest(log_directory, name) else last


def newest(log_directory: Path, name: str) -> int:
    """Return the highest domid that a monitor has waited for; -1 where none has."""
    texts = _texts(log_directory, name)
    found = (int(match["domid"]) for text in texts for match in _BEGIN.finditer(text))
    return max(found, default=-1)


def log_signs(log_directory: Path, name: str) -> tuple[int, ...]:
    """Return what changes when a monitor writes something down."""
    return tuple(_size(log) for log in _logs(log_directory, name))


def _texts(log_directory: Path, name: str) -> Iterator[str]:
    for log in _logs(log_directory, name):
        try:
            yield log.read_text(errors="replace")
        except OSError:
            continue


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _logs(log_directory: Path, name: str) -> tuple[Path, Path]:
    return log_directory / f"xl-{name}{INCOMING}.log", log_directory / f"xl-{name}.log"

"""What this engine did to a domain, written down for whoever follows its events.

Xen tells nobody that a domain was paused, and xl's own restarts look like ours; so each deed is a
line in a small file, in the order in which they happened.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from domwarden.contract import Event, EventKind

from .files import Files

#: Key of an event's data: the domain's number after the deed.
DOMID = "domid"


def note(files: Files, kind: EventKind, domid: int) -> None:
    """Append one deed."""
    line = json.dumps({"kind": str(kind), "at": time.time(), DOMID: domid}) + "\n"
    descriptor = os.open(files.notes, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


class Reader:
    """Reads deeds as they are appended, from those made after it was opened; close it.

    The file stays readable after the domain's folder was removed: that is when a follower needs it.
    """

    def __init__(self, path: Path) -> None:
        self._rest = b""
        try:
            self._file: int | None = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            os.lseek(self._file, 0, os.SEEK_END)
        except FileNotFoundError:
            self._file = None  # the domain is gone already

    def read(self) -> list[Event]:
        """Return what was done since the last call."""
        if self._file is None:
            return []
        while chunk := os.read(self._file, 65536):
            self._rest += chunk
        *lines, self._rest = self._rest.split(b"\n")
        return [_event(line) for line in lines]

    def size(self) -> int:
        """Return how much has been written, to see whether it grew."""
        return os.fstat(self._file).st_size if self._file is not None else 0

    def pending(self) -> bool:
        """Say whether there is something to read."""
        return self._file is not None and os.lseek(self._file, 0, os.SEEK_CUR) < self.size()

    def close(self) -> None:
        """Let go of the file; idempotent."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _event(line: bytes) -> Event:
    deed = json.loads(line)
    return Event(EventKind(deed["kind"]), float(deed["at"]), {DOMID: deed[DOMID]})

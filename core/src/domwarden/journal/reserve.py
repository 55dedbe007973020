"""Disk space kept back so that a move past its PREPARE can still write down its end."""

from __future__ import annotations

import os
from pathlib import Path

#: Enough for all that one move writes after PREPARE, log and tables together.
RESERVED_BYTES = 1024 * 1024


class Reserve:
    """A filler file beside the journal, given up when the disk is full."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def take(self) -> None:
        """Hold the space; idempotent. Raises OSError when there is none."""
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, RESERVED_BYTES)
        except OSError:
            self.give_back()
            raise
        finally:
            os.close(descriptor)

    def give_back(self) -> bool:
        """Let the space go; returns whether there was any."""
        try:
            self.path.unlink()
        except FileNotFoundError:
            return False
        return True

"""What the engine remembers of one QEMU process: plain facts, the last line of a small file."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Self

from domwarden.contract import EngineError


@dataclasses.dataclass(frozen=True)
class Record:
    """One QEMU process of this boot.

    It is written (without a pid) before the process is made, so a crash in between leaves no
    process that nobody knows.  ``start_time`` is field 22 of /proc/PID/stat, by which a recycled
    pid differs.  No fsync: after a crash of the machine there is no process left to describe.
    """

    boot_id: str
    pid: int | None = None
    start_time: int = 0
    #: The migration that made this copy; empty for one that was started here.
    migration: str = ""
    #: How long the incoming stream may take.
    timeout_seconds: float = 120.0
    #: Ownership of an incoming copy was taken (started copies have it from the beginning).
    activated: bool = True
    #: It was let run here at least once; until then its disks are not active.
    ran: bool = True
    #: Its completed outgoing migration was given up, and it was left paused.
    returned: bool = False
    #: The watchdog's action in the contract's words; QEMU's do not tell ``dump`` from ``pause``.
    watchdog_action: str = ""
    #: Where the log stood before this process wrote to it.
    log_offset: int = 0

    @classmethod
    def load(cls, path: Path) -> Self | None:
        """Read its last whole line; None without a file; raises EngineError when unreadable."""
        try:
            text = path.read_text()
            if "\n" in text:  # else of a version that replaced the file
                # A line without an end is one that was never written whole, so nobody relies on it.
                text = text.rpartition("\n")[0].rstrip("\n").rpartition("\n")[2]
            data = json.loads(text)
            known = {field.name for field in dataclasses.fields(cls)}
            return cls(**{key: value for key, value in data.items() if key in known})
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise EngineError(f"{path}: unreadable record: {error}") from error

    def save(self, path: Path) -> None:
        """Add a line to the file, in one step.

        Replacing the file takes milliseconds (ext4 first writes out what takes another file's
        name), and a guest stands still while its activation is noted.
        """
        line = json.dumps({"version": 1, **dataclasses.asdict(self)})
        with path.open("ab") as file:
            file.write(f"\n{line}\n".encode())

"""What the engine remembers of one copy of a domain: plain facts in one small file."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, Self

from domwarden.contract import EngineError


def boot_id() -> str:
    """Return this boot's identity (Linux, proc(5)): Xen and dom0 boot together."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


@dataclasses.dataclass(frozen=True)
class Record:
    """One copy of a domain on this host, since this boot.

    It is written before the copy is made, so a crash in between leaves no copy that nobody knows.
    Xen's domid changes with each reset and each move; the uuid stays, and finds the copy again.
    No fsync: after a crash of the machine there is no copy left to describe.
    """

    boot_id: str
    uuid: str
    #: The migration that made this copy; empty for one that was started here.
    migration: str = ""
    #: How long the incoming stream may take.
    timeout_seconds: float = 120.0
    #: Ownership of an incoming copy was taken (started copies have it from the beginning).
    activated: bool = True
    #: It was let run here at least once.
    ran: bool = True
    #: The whole incoming stream has arrived.
    received: bool = False
    #: The migration or save in whose hands this copy is as a source; empty when in none.
    leaving: str = ""
    #: Its outgoing stream is complete: it resumes only by an explicit command.
    departed: bool = False
    #: The domid that was taken apart to be made again, as long as none came after it; -1: none.
    replaced: int = -1
    #: How often in a row making it again has failed.
    failures: int = 0
    #: The watchdog's action in the contract's words; empty without a watchdog.
    watchdog_action: str = ""
    #: It is guarded by a card in its device model, of which Xen knows nothing.
    device_model: bool = False
    #: What xl's monitor was told to do at each end (``on_watchdog`` and its like).
    on: dict[str, str] = dataclasses.field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> Self | None:
        """Read it; None when there is none; raises EngineError when it is unreadable."""
        try:
            data: dict[str, Any] = json.loads(path.read_text())
            known = {field.name for field in dataclasses.fields(cls)}
            return cls(**{key: value for key, value in data.items() if key in known})
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise EngineError(f"{path}: unreadable record: {error}") from error

    def save(self, path: Path) -> None:
        """Replace the file in one step."""
        partial = path.with_suffix(".new")
        partial.write_text(json.dumps({"version": 1, **dataclasses.asdict(self)}))
        partial.replace(path)

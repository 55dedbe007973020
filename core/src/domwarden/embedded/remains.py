"""What a hypervisor's process leaves behind when it dies: the names of the domains it had."""

from __future__ import annotations

import json
from pathlib import Path

FILE_NAME = "embedded.json"


def read_remains(state_directory: Path) -> set[str]:
    """Return the domains that are noted on this host."""
    notes = (state_directory / "domains").glob(f"*/{FILE_NAME}")
    return {note.parent.name for note in notes}


def note_domain(state_directory: Path, name: str, pid: int) -> None:
    """Note that a process has a domain."""
    folder = state_directory / "domains" / name
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = folder / f".{FILE_NAME}"
    partial.write_text(json.dumps({"pid": pid}))
    partial.rename(folder / FILE_NAME)


def forget_domain(state_directory: Path, name: str) -> None:
    """Take the note away; idempotent."""
    (state_directory / "domains" / name / FILE_NAME).unlink(missing_ok=True)

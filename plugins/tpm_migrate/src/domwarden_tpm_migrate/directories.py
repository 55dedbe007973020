"""State directories that are whole or absent, whenever the machine stops."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

from domwarden.contract import PermanentError

#: swtpm's lock, which is no state.
_LOCK = ".lock"


def holds_state(directory: Path) -> bool:
    """Say whether there is anything in it that could be lost."""
    try:
        return any(entry.name != _LOCK for entry in directory.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return os.path.lexists(directory) and not directory.is_dir()


def make(directory: Path) -> None:
    """Create a directory that only its owner reads; one that is there stays as it is."""
    directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.mkdir(mode=0o700, exist_ok=True)
    sync(directory.parent)


def make_empty(directory: Path) -> None:
    """Create a directory of a migration; what an interrupted call left in it goes."""
    remove(directory)
    make(directory)


def sync(path: Path) -> None:
    """Make one file's content, or one directory's names, durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_all(directory: Path) -> None:
    """Make a state directory durable, with its own name."""
    for entry in directory.iterdir():
        sync(entry)
    sync(directory)
    sync(directory.parent)


def rename(directory: Path, to: Path) -> None:
    """Give a directory another name, never over a state; may be called again after a crash.

    Raises PermanentError.
    """
    if not directory.is_dir():
        if to.is_dir():
            return  # an earlier call did it
        raise PermanentError(f"neither {directory} nor {to} is there")
    if holds_state(to):
        raise PermanentError(f"{to} holds another TPM's state, which is never overwritten")
    if to.is_dir():
        remove(to)
    directory.rename(to)
    sync(to.parent)


def remove(directory: Path) -> None:
    """Remove a directory with its state; one that is absent is fine."""
    if os.path.lexists(directory):
        shutil.rmtree(directory)
        sync(directory.parent)


def digest(directory: Path) -> str:
    """Return a digest of a state; of none, the empty string."""
    if not holds_state(directory):
        return ""
    total = hashlib.blake2b(digest_size=16)
    for entry in sorted(directory.iterdir()):
        if entry.name != _LOCK:
            content = entry.read_bytes()
            total.update(f"{entry.name}\0{len(content)}\0".encode() + content)
    return total.hexdigest()

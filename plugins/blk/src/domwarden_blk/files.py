"""Making, publishing and removing files so that a crash leaves all or nothing."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from domwarden.contract import PermanentError


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_file(path: Path) -> None:
    """Make a file's content durable, whoever wrote it."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def create(path: Path, content: bytes = b"", *, size_bytes: int = 0) -> None:
    """Create a file that is not there yet, durably; raises PermanentError."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            os.write(handle, content)
            if size_bytes:
                os.ftruncate(handle, size_bytes)
            os.fsync(handle)
        finally:
            os.close(handle)
        sync_directory(path.parent)
    except OSError as error:
        raise PermanentError(f"cannot create {path}: {error.strerror}") from error


def remove(path: Path) -> None:
    """Remove a file durably; one that is absent is fine."""
    try:
        path.unlink()
    except FileNotFoundError:
        return
    sync_directory(path.parent)


def publish(made: Path, final: Path) -> None:
    """Give a file its final name, never over another file's; may be called again after a crash.

    Raises PermanentError where another file has the name.
    """
    if not os.path.lexists(made):
        if os.path.lexists(final):
            return  # an earlier call did it
        raise PermanentError(f"neither {made} nor {final} is there")
    try:
        # A rename would replace what has the name; a link refuses. Open handles stay good.
        os.link(made, final, follow_symlinks=False)
    except FileExistsError:
        if not made.samefile(final):
            raise PermanentError(
                f"{final} is in the way of {made}", hint=f"move it away, then: mv {made} {final}"
            ) from None
    except OSError:
        # A file system without hard links (vfat, some network ones).
        if os.path.lexists(final):
            raise PermanentError(f"{final} is in the way of {made}") from None
        made.rename(final)
    with contextlib.suppress(FileNotFoundError):
        made.unlink()
    sync_directory(final.parent)

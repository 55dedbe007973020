"""The service's place in the file system: its socket, and the lock that there is one service."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from domwarden.contract import ConflictError, DomwardenError
from domwarden.journal.holder import holder_of

#: Whoever may open it may do everything that the service may: owner and group, nobody else.
MODE = 0o660
BACKLOG = 128


@contextlib.contextmanager
def only_service(state_directory: Path) -> Iterator[None]:
    """Be the one service of a host; raises ConflictError where another one is."""
    path = state_directory / "serve.lock"
    try:
        state_directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise DomwardenError(f"{path}: {error.strerror}") from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            who = holder_of(path) or "another process"
            raise ConflictError(f"{who} serves this host already") from None
        yield
    finally:
        os.close(lock)


def listen(path: Path) -> socket.socket:
    """Listen at a path with mode 0660; what an earlier run left there is replaced.

    It is named only when its mode is right: nobody else can connect in between. Its directory is
    named by a descriptor, because a socket's path has at most 107 bytes (unix(7)).
    """
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            partial = path.with_name(f".{os.getpid()}.sock")
            partial.unlink(missing_ok=True)
            made.bind(f"/proc/self/fd/{directory}/{partial.name}")
        finally:
            os.close(directory)
        partial.chmod(MODE)
        made.listen(BACKLOG)
        partial.rename(path)
    except OSError as error:
        made.close()
        why = error.strerror or str(error)
        raise DomwardenError(f"no socket can be made at {path}: {why}") from error
    made.setblocking(False)
    return made

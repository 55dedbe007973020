"""Connects to the service's socket, or says why that cannot be."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from typing import NoReturn

#: How long a service may take to take a connection, or to send what it has begun to send.
LIMIT_SECONDS = 10.0
_PAUSE_SECONDS = 0.05
#: The longest path of a socket (unix(7)).
_PATH_BYTES = 107


def listening(path: Path) -> socket.socket | None:
    """Return a connection to the service at a path; None where nobody listens.

    Raises DomwardenError where somebody does and it cannot be had.
    """
    try:
        return connect(path)
    except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
        return None
    except PermissionError as error:
        failed(f"{path} may not be opened: {error.strerror}", "ask as a user who may")
    except OSError as error:
        hangs(path, error)


def connect(path: Path) -> socket.socket:
    """Connect to a path of any length."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    until = time.monotonic() + LIMIT_SECONDS
    directory = -1
    try:
        made.settimeout(LIMIT_SECONDS)
        address = str(path)
        if len(os.fsencode(address)) > _PATH_BYTES:
            directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            address = f"/proc/self/fd/{directory}/{path.name}"
        while True:
            try:
                made.connect(address)
            except BlockingIOError:  # so many wait that no more may (unix(7))
                if time.monotonic() > until:
                    raise TimeoutError("too many wait for it") from None
                time.sleep(_PAUSE_SECONDS)
            else:
                return made
    except BaseException:
        made.close()
        raise
    finally:
        if directory >= 0:
            os.close(directory)


def hangs(path: Path, error: BaseException) -> NoReturn:
    """Fail: a service that lives and says nothing may hold locks, so nobody acts beside it."""
    from domwarden.contract import OutcomeUnknownError  # here: it takes long to load

    raise OutcomeUnknownError(
        f"the service at {path} does not answer",
        hint="see its log; restart it: every domain runs on, and every move goes on",
    ) from error


def gone(path: Path, error: BaseException) -> NoReturn:
    """Fail: nobody knows what became of a request."""
    from domwarden.contract import OutcomeUnknownError  # as above

    raise OutcomeUnknownError(
        f"the service at {path} ended before it answered: it may have acted",
        hint="see `domwarden status`",
    ) from error


def failed(message: str, hint: str) -> NoReturn:
    """Fail for good."""
    from domwarden.contract import PermanentError  # as above

    raise PermanentError(message, hint=hint)

"""One hand at a time on one domain, across processes."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import time
from collections.abc import AsyncIterator

from domwarden.contract import EngineError

from .files import Files

#: More than the longest change takes: a start, a reset, a dump of a middling guest.
WAIT_SECONDS = 180.0
_TRY_SECONDS = 0.05


@contextlib.asynccontextmanager
async def changing(files: Files) -> AsyncIterator[None]:
    """Hold the domain's lock; raises EngineError when somebody else does not let go of it."""
    deadline = time.monotonic() + WAIT_SECONDS
    while (descriptor := _locked(files)) is None:
        if time.monotonic() > deadline:
            raise EngineError(f"{files.name}: somebody has been changing it for {WAIT_SECONDS:g} s")
        await asyncio.sleep(_TRY_SECONDS)
    try:
        yield
    finally:
        os.close(descriptor)


def held(files: Files) -> bool:
    """Say whether somebody is changing the domain at this moment."""
    try:
        descriptor = os.open(files.lock, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _locked(files: Files) -> int | None:
    try:
        descriptor = os.open(files.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        raise EngineError(f"{files.name}: it is not here") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # A stop removes the file with the folder; a lock on what was removed protects nothing.
        if os.path.samestat(os.fstat(descriptor), files.lock.stat()):
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(descriptor)
    return None

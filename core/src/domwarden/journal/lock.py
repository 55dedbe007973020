"""One actor a domain: a file lock that ends with its holder."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType

from domwarden.contract import ConflictError


class DomainLock:
    """The right to act on one domain of one host; a context manager, not re-entrant.

    ``flock`` on a close-on-exec descriptor: the kernel lets go of it when the holder dies, and no
    hypervisor that the holder starts inherits it.
    """

    def __init__(self, state_directory: Path, domain: str) -> None:
        self._path = state_directory / "locks" / f"{domain}.lock"
        self._domain = domain
        self._descriptor: int | None = None

    @property
    def path(self) -> Path:
        """The file that is locked."""
        return self._path

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return self._descriptor is not None

    def taken(self) -> bool:
        """Whether anybody holds the lock at this moment; makes no file."""
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def acquire(self) -> None:
        """Take the lock, which never waits; raises ConflictError when another holds it."""
        if self.held:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise ConflictError(
                f"another process acts on domain {self._domain}",
                hint="wait until it is done, or see `domwarden status`",
            ) from None
        self._descriptor = descriptor

    def release(self) -> None:
        """Let the lock go; idempotent."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            # Explicitly: a child between its fork and its exec still has a copy of the descriptor.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)

    def __enter__(self) -> DomainLock:
        self.acquire()
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _value: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.release()

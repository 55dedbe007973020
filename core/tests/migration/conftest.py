"""Where tests of moves keep their hosts."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def memory_directory() -> Iterator[Path]:
    """Memory where there is some: a process that is killed needs no real disk."""
    shared = Path("/dev/shm")
    directory = Path(tempfile.mkdtemp(dir=shared if shared.is_dir() else None))
    yield directory
    # A watcher that was left to itself may be closing its journals at this moment.
    shutil.rmtree(directory, ignore_errors=True)

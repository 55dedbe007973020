"""Starts the process that drives a move before anything slow is imported here."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def driver() -> Iterator[subprocess.Popen[bytes]]:
    """Give a driver that imports meanwhile and waits to be told; one that is not told is ended."""
    pipe = subprocess.PIPE
    program = (sys.executable, "-m", "domwarden.migration.driver")
    with subprocess.Popen(
        program, stdin=pipe, stdout=pipe, bufsize=0, start_new_session=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()  # one that was told has left this process behind

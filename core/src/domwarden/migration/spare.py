"""A driver process that is started before there is anything to drive."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import IO, Any

from domwarden.contract import BrokenError, in_scope

PROGRAM = (sys.executable, "-m", "domwarden.migration.driver")
#: How long Python may take to start on a busy host.
START_SECONDS = 60.0


class Spare:
    """It imports what a move needs and waits to be told; it ends with its caller.

    All methods may block for a moment.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    @classmethod
    def start(cls, program: Sequence[str] = PROGRAM) -> Spare:
        """Start one, in a session of its own."""
        pipe = subprocess.PIPE
        command = in_scope(program, "driver of a migration")
        return cls(
            subprocess.Popen(command, stdin=pipe, stdout=pipe, bufsize=0, start_new_session=True)
        )

    @property
    def alive(self) -> bool:
        """Whether it still waits."""
        return self._process.poll() is None

    @property
    def output(self) -> IO[bytes]:
        """Where it says what it does; whoever reads it closes it."""
        assert self._process.stdout is not None
        return self._process.stdout

    def load(self, drivers: Iterable[tuple[str, str]]) -> None:
        """Have it load these drivers, by kind and name, while it waits."""
        with contextlib.suppress(OSError):  # whoever wants it to drive will see that it is dead
            self._write({"load": sorted(drivers)})

    def tell(self, request: Mapping[str, Any]) -> None:
        """Tell it what to drive; raises BrokenError when it does not take that."""
        try:
            self._write(request)
            self._input.close()
            # It leaves the process behind that we started as soon as it has the request.
            self._process.wait(START_SECONDS)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise BrokenError(f"the process to drive the move is gone: {error}") from error

    def discard(self) -> None:
        """End it; it has done nothing."""
        self._process.kill()
        self._process.wait()
        self._input.close()
        self.output.close()

    @property
    def _input(self) -> IO[bytes]:
        assert self._process.stdin is not None
        return self._process.stdin

    def _write(self, said: Mapping[str, Any]) -> None:
        self._input.write(json.dumps(said, default=str).encode() + b"\n")

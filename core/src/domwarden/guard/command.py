"""Runs a command that nobody waits for."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence

from domwarden.guard.health import Outcome

#: So much of what a command says is kept, to name a reason.
_KEPT_BYTES = 4096


class Running:
    """A command under way, in a session of its own; ``now`` is any clock's seconds."""

    def __init__(self, arguments: Sequence[str], timeout_seconds: float, now: float) -> None:
        self._timeout_seconds = timeout_seconds
        self._deadline = now + timeout_seconds
        self._said = b""
        self._process: subprocess.Popen[bytes] | None = None
        self._error = ""
        # A pipe and no file: a full or dead disk is what a check may be looking for.
        reader, writer = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(reader, False)
        self._reader = reader
        try:
            self._process = subprocess.Popen(
                list(arguments),
                stdin=subprocess.DEVNULL,
                stdout=writer,
                stderr=writer,
                start_new_session=True,
                cwd="/",
            )
        except (OSError, ValueError) as error:
            self._error = f"{arguments[0]} cannot be run: {getattr(error, 'strerror', error)}"
        finally:
            os.close(writer)

    def poll(self, now: float) -> Outcome | None:
        """Return how it ended, killing it when its time is over; None while it goes on."""
        if self._process is None:
            return self._end(Outcome(False, self._error))
        self._read()
        status = self._process.poll()
        if status is None and now < self._deadline:
            return None
        self._read()
        if status is None:
            self.kill()
            return self._end(Outcome(False, f"no end after {self._timeout_seconds:g} s"))
        if status == 0:
            return self._end(Outcome(True))
        ended = f"status {status}" if status > 0 else f"signal {-status}"
        return self._end(Outcome(False, ": ".join(filter(None, (ended, self._last_line())))))

    def kill(self) -> None:
        """End it with all that it started, unless it is stuck in the kernel."""
        # a number that was waited for may be another's by now
        if self._process is not None and self._process.returncode is None:
            try:
                os.killpg(self._process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass  # it ended by itself, and so did whatever it started

    @property
    def remains(self) -> bool:
        """Whether its process is still there; reaps it otherwise."""
        return self._process is not None and self._process.poll() is None

    def close(self) -> None:
        """Kill it and forget what it said."""
        self.kill()
        if self._reader >= 0:
            self._end(Outcome(False))

    def _end(self, outcome: Outcome) -> Outcome:
        os.close(self._reader)
        self._reader = -1
        return outcome

    def _read(self) -> None:
        try:
            while data := os.read(self._reader, 65536):
                self._said = (self._said + data)[-_KEPT_BYTES:]
        except BlockingIOError:
            pass  # no more for now

    def _last_line(self) -> str:
        lines = self._said.decode(errors="replace").split("\n")
        return next((line.strip()[:200] for line in reversed(lines) if line.strip()), "")

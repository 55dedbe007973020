"""Turns the checks of a guard file into things that can be begun and asked."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from domwarden.config import CheckEntry, CheckKind
from domwarden.guard.command import Running
from domwarden.guard.health import Outcome
from domwarden.guard.looks import Look, daemon_runs, load_is_below, memory_is_free

Run = Callable[[Sequence[str], float, float], Running]


class Check:
    """One check of the file: due every so often, never begun twice at a time."""

    def __init__(self, entry: CheckEntry, run: Run = Running) -> None:
        self.name = entry.name
        self.retries = entry.retries
        self.every_seconds = entry.every_seconds
        self.due = float("-inf")
        self._entry = entry
        self._run = run
        self._running: Running | None = None
        self._left: Running | None = None

    @property
    def busy(self) -> bool:
        """Whether a command of it is under way."""
        return self._running is not None

    def step(self, now: float) -> Outcome | None:
        """Begin it if it is due; return its outcome when it has one."""
        if self._running is None:
            if now < self.due:
                return None
            self.due = now + self.every_seconds
            command = command_of(self._entry)
            if command is None:
                return look_of(self._entry)()
            if self._left is not None and self._left.remains:
                return Outcome(False, "the command before cannot even be killed")
            self._left = None
            self._running = self._run(command, self._entry.options["timeout"], now)
        outcome = self._running.poll(now)
        if outcome is not None:
            self._left, self._running = self._running, None
        return outcome

    def close(self) -> None:
        """End what is under way."""
        if self._running is not None:
            self._running.close()
            self._running = None


def command_of(entry: CheckEntry) -> list[str] | None:
    """Return the command that a check runs, or None where it looks by itself."""
    if entry.kind is CheckKind.COMMAND:
        return list(entry.options["run"])
    if entry.kind is CheckKind.WARDEN:
        host_file = entry.options.get("host_file")
        named = ["--host-file", host_file] if host_file else []
        return [sys.executable, "-m", "domwarden", "status", "--json", *named]
    return None


def look_of(entry: CheckEntry) -> Look:
    """Return the look of a check that runs no command."""
    options: dict[str, Any] = dict(entry.options)
    if entry.kind is CheckKind.PID_FILE:
        return functools.partial(daemon_runs, Path(options["path"]))
    if entry.kind is CheckKind.LOAD:
        return functools.partial(load_is_below, options)
    return functools.partial(memory_is_free, options["free"])

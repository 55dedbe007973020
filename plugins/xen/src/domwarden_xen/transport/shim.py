"""What the shims of both ends have in common."""

from __future__ import annotations

import abc
import dataclasses
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import processes
from .control import Control
from .loop import Loop
from .note import LAST, Note, Phase

#: A shim that is through stays so long for whoever still asks.
_LINGER_SECONDS = 10.0


class Shim(abc.ABC):
    """One end of one move; it lives until xl was told the last word."""

    def __init__(self, order: Mapping[str, Any]) -> None:
        self._order = order
        self._loop = Loop()
        self._path = Path(order["note"])
        self._silence_seconds = float(order.get("silence_seconds", 30.0))
        self._bytes = 0
        self._pages = 0
        self._last_at: float | None = None
        self.note = Note(
            migration=str(order["migration"]),
            phase=Phase.BEGUN,
            boot_id=processes.boot_id(),
            domid=int(order.get("domid", -1)),
            shim=processes.identity(os.getpid()),
        )

    def run(self) -> None:
        """Do all of it; returns when nobody needs this end any more."""
        control = Control(self._loop, self._path.with_suffix(".sock"), self._command, self._state)
        try:
            self._begin()
            while not (self._over and control.idle):
                self._loop.turn(1.0)
                control.tell()
        finally:
            control.close()

    @abc.abstractmethod
    def _begin(self) -> None:
        """Take up what this end talks to."""

    @abc.abstractmethod
    def _command(self, verb: str) -> None:
        """Do what the driver of the move says; raises ValueError for what cannot be done now."""

    @property
    @abc.abstractmethod
    def _quiet(self) -> bool:
        """Whether xl has heard its last word, or is gone."""

    @property
    def _over(self) -> bool:
        if self._last_at is None:
            return False
        waited = time.monotonic() - self._last_at
        return waited > _LINGER_SECONDS or (self._quiet and waited > 1.0)

    def _reach(self, phase: Phase, **changes: Any) -> None:
        """Make it durable that this end is so far, before anything follows from it."""
        self.note = dataclasses.replace(self.note, phase=phase, **changes)
        self.note.save(self._path)
        if phase in LAST:
            self._last_at = time.monotonic()

    def _trouble(self, problem: str) -> None:
        """Note what went wrong without being the end of the move."""
        self._say(problem)
        self.note = dataclasses.replace(self.note, problem=problem)
        self.note.save(self._path)

    def _say(self, text: str) -> None:
        sys.stderr.write(f"domwarden {self._order['end']} {self.note.migration}: {text}\n")
        sys.stderr.flush()

    def _state(self) -> dict[str, Any]:
        return {
            "phase": self.note.phase,
            "problem": self.note.problem,
            "migration": self.note.migration,
            "port": self.note.port,
            "bytes": self._bytes,
            "pages": self._pages,
        }

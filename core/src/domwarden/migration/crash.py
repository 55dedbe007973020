"""Named points at which a test may kill the process that drives a move.

Every journal write, link message and engine command of a move passes two points: ``X before`` and
``X after``. X is ``END journal WHAT``, ``link MESSAGE`` or ``END engine COMMAND``, where END is
source or destination; the table below gives the well-known ones a short name. The engine's reports
while the source completes its stream pass ``source engine complete under way``.
``DOMWARDEN_CRASH_AT=NAME`` kills the process there with SIGKILL; ``NAME#3`` at the third time.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

ENVIRONMENT = "DOMWARDEN_CRASH_AT"

CrashPoint = Callable[[str], None]

#: Short names of the points that every engine's tests go through.
KNOWN_POINTS = {
    "before-suspend": "source engine suspend before",
    "pre-switchover": "source engine suspend after",
    "before-continue": "source engine complete before",
    "after-continue": "source engine complete under way",
    "completed": "source engine complete after",
    "received-not-ready": "destination journal ready before",
    "completed-not-released": "source journal released before",
    "released-not-granted": "source journal released after",
    "granted-not-running": "destination engine activate before",
    "running-not-seen": "destination engine activate after",
    "running-not-stopped": "source engine stop before",
    "stopped-not-done": "source journal done before",
    "during-abort": "source engine abort before",
    "aborted-not-resumed": "source journal aborted after",
}


def nowhere(_point: str) -> None:
    """Crash at no point."""


def from_environment() -> CrashPoint:
    """Return what the environment asks for; nothing usually."""
    wanted = os.environ.get(ENVIRONMENT, "")
    if not wanted:
        return nowhere
    name, _, times = wanted.partition("#")
    return Killer(KNOWN_POINTS.get(name, name), int(times or 1))


class Killer:
    """Kills this process the n-th time that a point is passed."""

    def __init__(self, point: str, times: int = 1) -> None:
        self.point = point
        self.times = times

    def __call__(self, point: str) -> None:
        """Pass a point."""
        if point != self.point:
            return
        self.times -= 1
        if self.times == 0:
            os.kill(os.getpid(), signal.SIGKILL)

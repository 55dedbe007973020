"""What an observer hears while a domain moves."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Mapping
from typing import Any


class What(enum.StrEnum):
    """The kinds of moments."""

    UNKNOWN = "unknown"
    STEP_BEGUN = "step-begun"
    STEP_ENDED = "step-ended"
    JOB_BEGUN = "job-begun"
    JOB_ENDED = "job-ended"
    #: A job said how far it is; data: done, total.
    REPORT = "report"
    #: Pre-copy or the rest of the stream; data: a Progress and time_left_seconds.
    PROGRESS = "progress"
    SUSPENDED = "suspended"
    #: The source's copy runs again.
    RESUMED = "resumed"
    READY = "ready"
    RELEASED = "released"
    GRANTED = "granted"
    #: The destination's copy was seen active.
    RUNNING = "running"
    #: data: seconds from suspension to the destination seen active (or the source again).
    BLACKOUT = "blackout"
    ABORTING = "aborting"
    #: Something failed after the release, or during a recovery, and did not stop it.
    ALARM = "alarm"
    SETTLED = "settled"


@dataclasses.dataclass(frozen=True)
class Moment:
    """One thing that happened; ``at`` is Unix time in seconds.

    ``step`` is a stage or an action of the plan, ``device`` the YAML id for jobs. The ends of steps
    and jobs carry ``data={"failed": bool, "seconds": float}``.
    """

    at: float
    what: What
    domain: str
    migration: str = ""
    host: str = ""
    end: str = ""
    step: str = ""
    device: str = ""
    detail: str = ""
    data: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return the moment as plain data."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Moment:
        """Rebuild a moment from what :meth:`as_json` returned."""
        return cls(**{**data, "what": What(data["what"])})


#: Called on the event loop; returns at once; what it raises is dropped.
Observer = Callable[[Moment], None]


def ignore(_moment: Moment) -> None:
    """Observe nothing."""

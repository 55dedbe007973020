"""What a dry migration says."""

from __future__ import annotations

import dataclasses
from typing import Any

from domwarden.contract import Refusal
from domwarden.migration import Unfinished
from domwarden.plan import ORDER


@dataclasses.dataclass(frozen=True)
class Plan:
    """Whether a domain can move, and how; no refusals mean that it can.

    ``unfinished`` is what a verb would settle first; refusals are as it stands before that.
    """

    domain: str
    source: str
    destination: str
    refusals: tuple[Refusal, ...]
    predicted_blackout_seconds: float
    unfinished: tuple[Unfinished, ...] = ()

    @property
    def steps(self) -> tuple[str, ...]:
        """The steps in their order, each as ``stage at host``."""
        hosts = {"source": self.source, "destination": self.destination}
        return tuple(f"{stage} at {hosts[end]}" for end, stage in ORDER)

    def as_json(self) -> dict[str, Any]:
        """Return the plan as plain data."""
        return {**dataclasses.asdict(self), "steps": list(self.steps)}

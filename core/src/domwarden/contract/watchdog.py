"""The words in which watchdogs of every engine are described."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from typing import Any


class Action(enum.StrEnum):
    """What the hypervisor does when the guest stopped kicking."""

    RESET = "reset"
    POWEROFF = "poweroff"
    #: Ask the guest by ACPI; a hung guest ignores it.
    SHUTDOWN = "shutdown"
    PAUSE = "pause"
    #: Pause, write the guest's memory to a file, then reset.
    DUMP = "dump"
    #: Inject a non-maskable interrupt.
    NMI = "nmi"
    #: Record it and do nothing.
    NOTIFY = "notify"


class TimerClock(enum.StrEnum):
    """Which clock a watchdog's timer counts."""

    UNKNOWN = "unknown"
    #: The guest's: stops while the domain is stopped (the emulated cards).
    GUEST = "guest"
    #: The host's: runs on while the domain is paused (Xen's).
    HOST = "host"


class Armed(enum.StrEnum):
    """Whether a watchdog is armed, as far as the engine can tell."""

    UNKNOWN = "unknown"
    ARMED = "armed"
    DISARMED = "disarmed"


@dataclasses.dataclass(frozen=True)
class Reading:
    """A watchdog's timer as seen from outside the guest; ``None`` where the engine cannot tell."""

    armed: Armed = Armed.UNKNOWN
    time_left_seconds: float | None = None
    timeout_seconds: float | None = None
    last_kick_seconds_ago: float | None = None


@dataclasses.dataclass(frozen=True)
class Expiry:
    """One firing of a domain's watchdog; ``at`` is Unix time in seconds."""

    domain: str
    driver: str
    action: Action
    at: float
    detail: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the expiry as plain data."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Expiry:
        """Rebuild an expiry from what :meth:`as_json` returned."""
        return cls(
            domain=data["domain"],
            driver=data["driver"],
            action=Action(data["action"]),
            at=float(data["at"]),
            detail=data.get("detail", ""),
        )

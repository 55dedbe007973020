"""What a driver of one of the machine's own watchdogs must offer to ``domwarden guard``."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from domwarden.contract.errors import DomwardenError


class WatchdogAbsentError(DomwardenError):
    """This machine has no watchdog of that kind; the guard works with the others."""


class HostWatchdog(abc.ABC):
    """One watchdog that resets the machine unless it is kicked; every call returns at once.

    ``options`` were validated by ``SCHEMA``; ``state_directory`` is the driver's own, exists, and
    is emptied when the machine starts.  Every method raises DomwardenError.  Nothing is stopped
    unless it is told so: a guard that is killed leaves its watchdogs counting.
    """

    contract: ClassVar[int] = 1
    SCHEMA: ClassVar[Mapping[Any, Any]] = {}

    def __init__(self, options: Mapping[str, Any], state_directory: Path) -> None:
        self.options = options
        self.state_directory = state_directory

    @abc.abstractmethod
    def arm(self, timeout_seconds: int) -> int:
        """Start it, or go on with what an earlier process left; return the time-out as granted.

        Called again to change the time-out. Raises WatchdogAbsentError.
        """

    @abc.abstractmethod
    def kick(self) -> None:
        """Let it count from now."""

    @abc.abstractmethod
    def hand_over(self, timeout_seconds: int) -> None:
        """Leave it to whoever guards the machine's shutdown, for at most that long; let go."""

    @abc.abstractmethod
    def disarm(self) -> None:
        """Stop it and let go of it."""

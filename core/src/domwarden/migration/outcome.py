"""What became of a move."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from domwarden.contract import DomwardenError


class Outcome(enum.StrEnum):
    """How a move that was settled ended."""

    UNKNOWN = "unknown"
    #: The domain is at its destination.
    ARRIVED = "arrived"
    #: The domain is back at its source.
    RESUMED = "resumed"
    #: The domain ended by itself at its source meanwhile; nothing of it was lost to the move.
    ENDED = "ended"
    #: A start or a stop that was interrupted, or a reclaimed domain whose copy was written off: the
    #: domain is stopped, its devices are closed.
    STOPPED = "stopped"
    #: A person took the domain back from a host that is gone for good; it is at its source.
    RECLAIMED = "reclaimed"
    SAVED = "saved"
    RESTORED = "restored"
    #: The copy of a restore was given up; the save is as it was.
    GIVEN_UP = "given-up"
    #: Nobody can act until the other end answers; asked again by the next verb.
    WAITING = "waiting"
    #: A person must decide.
    BROKEN = "broken"


@dataclasses.dataclass(frozen=True)
class Settled:
    """What became of one unfinished move."""

    migration: str
    domain: str
    outcome: Outcome
    detail: str = ""
    alarms: tuple[str, ...] = ()
    #: Nobody tried: another process acts on the domain.
    busy: bool = False
    #: The settling itself failed, by a journal that cannot be used for instance: it may go further
    #: the next time.
    failed: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Settled:
        """Rebuild it from what :meth:`as_json` returned."""
        return cls(**{**data, "outcome": Outcome(data["outcome"]), "alarms": tuple(data["alarms"])})


@dataclasses.dataclass(frozen=True)
class Moved:
    """A migration that arrived; times in seconds, None where nobody measured."""

    domain: str
    source: str
    destination: str
    migration: str
    blackout_seconds: float | None
    downtime_seconds: float | None
    total_seconds: float
    running: bool
    alarms: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class Saved:
    """A domain that was released to a file."""

    domain: str
    path: Path
    nonce: str
    migration: str
    total_seconds: float
    alarms: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {**dataclasses.asdict(self), "path": str(self.path)}


@dataclasses.dataclass(frozen=True)
class Restored:
    """A domain that was taken back from a file."""

    domain: str
    path: Path
    migration: str
    running: bool
    total_seconds: float
    alarms: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {**dataclasses.asdict(self), "path": str(self.path)}


class MoveFailedError(DomwardenError):
    """A move was given up; ``cause`` says why, ``settled`` where the domain is now."""

    def __init__(self, cause: BaseException, settled: Settled) -> None:
        why = cause.message if isinstance(cause, DomwardenError) else _one_line(cause)
        hint = cause.hint if isinstance(cause, DomwardenError) else ""
        where = f": {settled.detail}" if settled.detail else ""
        super().__init__(f"{why}; the domain: {settled.outcome}{where}", hint=hint)
        self.cause = cause
        self.settled = settled


def _one_line(error: BaseException) -> str:
    words = " ".join(str(error).split())
    return f"{type(error).__name__}: {words}" if words else type(error).__name__

"""What is written down: frozen, plain, versioned."""

from __future__ import annotations

import dataclasses
import enum
import json
from collections.abc import Mapping
from typing import Any, TypeVar

from domwarden.contract import BrokenError, Definition, End, Movement, Step
from domwarden.plan import Decision, Desired, Fact

#: The version of every record's JSON; a record of a newer one is not guessed at.
RECORD_VERSION = 1


class StepState(enum.StrEnum):
    """How far a device's part in its last step, or one of its other jobs, is."""

    UNKNOWN = "unknown"
    #: The intent is durable; the job may have run, or run in part.
    BEGUN = "begun"
    DONE = "done"
    FAILED = "failed"


class Hook(enum.StrEnum):
    """Which hook a device's job came from, beside those of the four steps."""

    UNKNOWN = "unknown"
    OPEN = "open"
    FINISH = "finish"
    RECOVER = "recover"
    CLOSE = "close"


class HistoryKind(enum.StrEnum):
    """What happened to a domain on this host."""

    UNKNOWN = "unknown"
    STARTED = "started"
    ENDED = "ended"
    PAUSED = "paused"
    RESUMED = "resumed"
    RESET = "reset"
    ARRIVED = "arrived"
    DEPARTED = "departed"
    RETURNED = "returned"
    RECLAIMED = "reclaimed"
    SAVED = "saved"
    RESTORED = "restored"
    ALARM = "alarm"


@dataclasses.dataclass(frozen=True)
class DomainRecord:
    """What this host knows of a domain: its epoch, what it should do, what was really started."""

    name: str
    epoch: int
    desired: Desired
    definition: Definition | None = None
    moved_to: str = ""


@dataclasses.dataclass(frozen=True)
class MigrationRecord:
    """One end of one move; ``epoch`` is the source's, ``peer`` the other host or a save's path."""

    id: str
    domain: str
    role: End
    movement: Movement
    peer: str
    epoch: int
    running: bool
    definition: Definition
    done: bool = False
    nonce: str = ""


@dataclasses.dataclass(frozen=True)
class DecisionRecord:
    """The commit point as it stands in the journal; ``at`` is Unix time in seconds."""

    migration: str
    decision: Decision
    at: float


@dataclasses.dataclass(frozen=True)
class FactRecord:
    """A fact of one end of one move; the first record of a fact stands."""

    migration: str
    fact: Fact
    data: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class StepRecord:
    """A device's part in a move: its last begun step, and the tickets both ways."""

    migration: str
    device: str
    position: int
    step: Step
    state: StepState
    given: Mapping[str, Any] | None = None
    ticket: Mapping[str, Any] | None = None


@dataclasses.dataclass(frozen=True)
class JobRecord:
    """A device's job of ``open``, ``finish``, ``recover`` or ``close``.

    ``given`` is what this end had given when the record was made: an ``open`` may be the last to.
    """

    migration: str
    device: str
    hook: Hook
    state: StepState
    given: Mapping[str, Any] | None = None


@dataclasses.dataclass(frozen=True)
class SaveRecord:
    """A save that released a domain to a file; ``consumed`` once it was restored."""

    nonce: str
    domain: str
    path: str
    epoch: int
    consumed: bool = False


@dataclasses.dataclass(frozen=True)
class HistoryRecord:
    """Something that happened to a domain; ``at`` is Unix time in seconds."""

    domain: str
    kind: HistoryKind
    at: float
    detail: str = ""


#: What one transaction may hold any number of.
Entry = (
    DomainRecord
    | MigrationRecord
    | FactRecord
    | StepRecord
    | JobRecord
    | SaveRecord
    | HistoryRecord
)

RecordT = TypeVar(
    "RecordT",
    DomainRecord,
    MigrationRecord,
    FactRecord,
    StepRecord,
    JobRecord,
    SaveRecord,
    HistoryRecord,
)

_ENUMS: Mapping[str, type[enum.Enum]] = {
    "desired": Desired,
    "role": End,
    "movement": Movement,
    "fact": Fact,
    "step": Step,
    "state": StepState,
    "hook": Hook,
    "kind": HistoryKind,
}


def dump(record: Entry) -> str:
    """Return a record as JSON text."""
    data = dataclasses.asdict(record)
    return json.dumps({"version": RECORD_VERSION, **data}, separators=(",", ":"), sort_keys=True)


def load(cls: type[RecordT], text: str) -> RecordT:
    """Rebuild a record; raises BrokenError for one that this version cannot read."""
    try:
        data = json.loads(text)
        version = data.pop("version")
        if version != RECORD_VERSION:
            raise BrokenError(
                f"the journal holds a record of version {version}, this domwarden reads"
                f" {RECORD_VERSION}",
                hint="use the version that wrote it",
            )
        for name, kind in _ENUMS.items():
            if name in data:
                data[name] = kind(data[name])
        if data.get("definition") is not None:
            data["definition"] = Definition.from_json(data["definition"])
        return cls(**data)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BrokenError(f"the journal holds a record that cannot be read: {error}") from error

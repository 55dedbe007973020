"""Which devices are undone, in which order."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from domwarden.contract import Step


@dataclasses.dataclass(frozen=True)
class Begun:
    """A device whose part in a move was begun: its place in the file, its last journaled intent."""

    device: str
    position: int
    step: Step


def late(begun: Iterable[Begun]) -> list[Begun]:
    """Return the devices begun at START or SYNC, last first: undone before the source is let go."""
    return _reversed(entry for entry in begun if entry.step >= Step.START)


def early(begun: Iterable[Begun]) -> list[Begun]:
    """Return the devices begun only at PREPARE, last first: undone after the source runs."""
    return _reversed(entry for entry in begun if entry.step == Step.PREPARE)


def _reversed(begun: Iterable[Begun]) -> list[Begun]:
    return sorted(begun, key=lambda entry: (entry.step, entry.position), reverse=True)

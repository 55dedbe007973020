"""What the witness of a guest saw, and what it proves."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from pathlib import Path


@dataclasses.dataclass(frozen=True)
class Told:
    """One number of the guest's counter: when it was seen, and on which host or the disk."""

    seconds: float
    where: str
    number: int


@dataclasses.dataclass(frozen=True)
class Gap:
    """The guest's longest silence: from its last number before to its first one after."""

    seconds: float
    before: Told
    after: Told


class ForkError(AssertionError):
    """Two copies ran."""


class LossError(AssertionError):
    """Something that the guest did is gone."""


def read(path: Path) -> list[Told]:
    """Return everything that the witness wrote so far."""
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    fields = [line.split() for line in lines if line.endswith("\n")]
    return [Told(float(seconds), where, int(number)) for seconds, where, number in fields]


def judge(testimony: Sequence[Told], *, moves: int) -> int:
    """See one guest that went on counting, wherever; returns the last number.

    In the order of the witness's clock the numbers only grow, on both consoles together as on the
    disk: two copies that ran at once would tell the same numbers twice, one that was set back would
    begin again with an old one. Each number is told but for a line that a move cuts in two, and
    what is told is on the disk.
    """
    written = [one.number for one in testimony if one.where == "disk"]
    while testimony[-1].where != "disk":  # the witness looks at the disk last
        testimony = testimony[:-1]
    consoles = [one for one in testimony if one.where != "disk"]
    for before, after in itertools.pairwise(consoles):
        if after.number <= before.number:
            raise ForkError(f"{after} follows {before}")
    for earlier, later in itertools.pairwise(written):
        if later <= earlier:
            raise LossError(f"the disk went from {earlier} back to {later}")
    numbers = {one.number for one in consoles}
    missing = set(range(min(numbers), max(numbers) + 1)) - numbers
    if len(missing) > moves:
        raise LossError(f"never told: {sorted(missing)}")
    last = max(numbers)
    if written[-1] < last:
        raise LossError(f"{last} was told, and the disk has {written[-1]}")
    return last


def longest_gap(testimony: Sequence[Told], since: float) -> Gap:
    """Return the guest's longest silence since a time."""
    consoles = [one for one in testimony if one.where != "disk"]
    gaps = [
        Gap(after.seconds - before.seconds, before, after)
        for before, after in itertools.pairwise(consoles)
        if after.seconds >= since
    ]
    return max(gaps, key=lambda gap: gap.seconds)

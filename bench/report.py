"""What a bench found: figures beside their peers, and goals met or missed."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from .sampling import Spread, ratios


@dataclasses.dataclass(frozen=True)
class Figure:
    """One measured thing; ``ratio`` is to the peer's, round by round."""

    what: str
    unit: str
    spread: Spread
    peer: str = ""
    ratio: Spread | None = None


@dataclasses.dataclass(frozen=True)
class Goal:
    """What was hoped for, and what came out; met when it is at most the limit."""

    what: str
    unit: str
    found: float
    limit: float

    @property
    def met(self) -> bool:
        """Whether it came out as hoped."""
        return self.found <= self.limit

    def __str__(self) -> str:
        verdict = "met" if self.met else "MISSED"
        return f"{verdict}: {self.what}: {self.found:.3g} {self.unit}, goal {self.limit:.3g}"


@dataclasses.dataclass
class Report:
    """One bench's outcome."""

    name: str
    title: str
    figures: list[Figure] = dataclasses.field(default_factory=list)
    goals: list[Goal] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)

    def add(
        self,
        what: str,
        unit: str,
        samples: Sequence[float],
        *,
        scale: float = 1.0,
        peer: tuple[str, Sequence[float]] | None = None,
    ) -> Figure:
        """Add a figure, ``scale`` times its samples, and its ratio to a peer's raw samples."""
        figure = Figure(
            what,
            unit,
            Spread.of([sample * scale for sample in samples]),
            peer[0] if peer else "",
            Spread.of(ratios(samples, peer[1])) if peer else None,
        )
        self.figures.append(figure)
        return figure

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        data = dataclasses.asdict(self)
        data["goals"] = [{**dataclasses.asdict(goal), "met": goal.met} for goal in self.goals]
        return data

    def markdown(self) -> str:
        """Return it as a section of a document."""
        lines = [f"### {self.name}: {self.title}", "", "| what | median | quartiles | ratio |"]
        lines.append("|---|---|---|---|")
        for figure in self.figures:
            spread, ratio = figure.spread, figure.ratio
            quartiles = f"{spread.low:.3g}–{spread.high:.3g}"
            beside = ""
            if ratio is not None:
                beside = f"{ratio.median:.2f} ({ratio.low:.2f}–{ratio.high:.2f}) × {figure.peer}"
            cells = (figure.what, f"{spread.median:.3g} {figure.unit}", quartiles, beside)
            lines.append(f"| {' | '.join(cells)} |")
        lines += ["", *(f"- {goal}" for goal in self.goals)]
        lines += [f"- {note}" for note in self.notes]
        return "\n".join(lines) + "\n"

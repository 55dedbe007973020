"""What happened when, as lanes of spans."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator


@dataclasses.dataclass
class Span:
    """Something that took time on one lane; seconds of one clock, ``end`` None while it lasts."""

    lane: str
    name: str
    begin: float
    end: float | None = None
    failed: bool = False


@dataclasses.dataclass(frozen=True)
class Mark:
    """One moment with a name."""

    name: str
    at: float


@dataclasses.dataclass
class Timeline:
    """Spans and marks in the order in which they began."""

    spans: list[Span] = dataclasses.field(default_factory=list)
    marks: list[Mark] = dataclasses.field(default_factory=list)

    def begin(self, lane: str, name: str, at: float) -> None:
        """Open a span."""
        self.spans.append(Span(lane, name, at))

    def end(self, lane: str, name: str, at: float, *, failed: bool = False) -> None:
        """Close the newest open span of that lane and name, if there is one."""
        for span in reversed(self.spans):
            if (span.lane, span.name) == (lane, name) and span.end is None:
                span.end, span.failed = at, failed
                return

    def mark(self, name: str, at: float) -> None:
        """Note a moment."""
        self.marks.append(Mark(name, at))

    @property
    def start(self) -> float:
        """The first moment; 0 for an empty timeline."""
        return min(self._moments(), default=0.0)

    @property
    def finish(self) -> float:
        """The last moment; 0 for an empty timeline."""
        return max(self._moments(), default=0.0)

    @property
    def lanes(self) -> list[str]:
        """The lanes, in order of first appearance."""
        return list(dict.fromkeys(span.lane for span in self.spans))

    @property
    def blackout(self) -> tuple[float, float] | None:
        """From the mark ``suspended`` to the mark ``running``; None when it did not happen."""
        moments = {mark.name: mark.at for mark in self.marks}
        if "suspended" in moments and "running" in moments:
            return moments["suspended"], moments["running"]
        return None

    def _moments(self) -> Iterator[float]:
        for span in self.spans:
            yield span.begin
            if span.end is not None:
                yield span.end
        for mark in self.marks:
            yield mark.at


def seconds(value: float) -> str:
    """Write a duration as a person would."""
    return f"{value * 1000:.1f} ms" if value < 1 else f"{value:.2f} s"


def text(timeline: Timeline, width: int = 44) -> list[str]:
    """Draw the timeline with characters: one line a span, the blackout's columns marked."""
    start, length = timeline.start, max(timeline.finish - timeline.start, 1e-9)
    blackout = timeline.blackout

    def column(at: float) -> int:
        return min(width - 1, int((at - start) / length * width))

    lane_width = max((len(lane) for lane in timeline.lanes), default=4)
    name_width = max((len(span.name) for span in timeline.spans), default=4)
    rows: list[tuple[float, str]] = []
    for span in timeline.spans:
        end = timeline.finish if span.end is None else span.end
        dark = range(column(blackout[0]), column(blackout[1]) + 1) if blackout else range(0)
        cells = ["░" if i in dark else " " for i in range(width)]
        for i in range(column(span.begin), column(end) + 1):
            cells[i] = "!" if span.failed else "█"
        rows.append(
            (
                span.begin,
                f"{span.begin - start:8.3f} s  {span.lane:<{lane_width}}  {span.name:<{name_width}}"
                f"  |{''.join(cells)}|  {seconds(end - span.begin)}",
            )
        )
    for mark in timeline.marks:
        rows.append((mark.at, f"{mark.at - start:8.3f} s  {'·' * lane_width}  {mark.name}"))
    lines = [line for _, line in sorted(rows, key=lambda row: row[0])]
    if blackout:
        lines.append(f"blackout {seconds(blackout[1] - blackout[0])} (░)")
    return lines

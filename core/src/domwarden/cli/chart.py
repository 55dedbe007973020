"""What happened when, as lanes of spans."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

from domwarden.migration import Moment, What


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
class Chart:
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
        """The first moment; 0 for an empty chart."""
        return min(self._moments(), default=0.0)

    @property
    def finish(self) -> float:
        """The last moment; 0 for an empty chart."""
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


#: What is drawn as a moment, and its name in the chart.
_MARKS = {
    What.SUSPENDED: "suspended",
    What.READY: "ready",
    What.RELEASED: "released",
    What.GRANTED: "granted",
    What.RUNNING: "running",
    What.RESUMED: "resumed",
}


def chart_of(moments: Iterable[Moment]) -> Chart:
    """Return the chart of what an observer heard."""
    chart = Chart()
    for moment in moments:
        lane = " ".join(part for part in (moment.host, moment.device) if part)
        if moment.what in (What.STEP_BEGUN, What.JOB_BEGUN):
            chart.begin(lane, moment.step, moment.at)
        elif moment.what in (What.STEP_ENDED, What.JOB_ENDED):
            chart.end(lane, moment.step, moment.at, failed=bool(moment.data.get("failed")))
        elif moment.what in _MARKS:
            chart.mark(_MARKS[moment.what], moment.at)
    return chart


def seconds(value: float) -> str:
    """Write a duration as a person would."""
    return f"{value * 1000:.1f} ms" if value < 1 else f"{value:.2f} s"


def text(chart: Chart, width: int = 44) -> list[str]:
    """Draw the chart with characters: one line a span, the blackout's columns marked."""
    start, length = chart.start, max(chart.finish - chart.start, 1e-9)
    blackout = chart.blackout

    def column(at: float) -> int:
        return min(width - 1, int((at - start) / length * width))

    lane_width = max((len(lane) for lane in chart.lanes), default=4)
    name_width = max((len(span.name) for span in chart.spans), default=4)
    rows: list[tuple[float, str]] = []
    for span in chart.spans:
        end = chart.finish if span.end is None else span.end
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
    rows += [
        (mark.at, f"{mark.at - start:8.3f} s  {'·' * lane_width}  {mark.name}")
        for mark in chart.marks
    ]
    lines = [line for _, line in sorted(rows, key=lambda row: row[0])]
    if blackout:
        lines.append(f"blackout {seconds(blackout[1] - blackout[0])} (░)")
    return lines

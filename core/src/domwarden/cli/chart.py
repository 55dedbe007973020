"""A move's timeline drawn with characters."""

from __future__ import annotations

from domwarden.migration import Moment, Span, Timeline, What

#: What is drawn as a moment.
_MARKS = frozenset(
    {
        What.SUSPENDED,
        What.READY,
        What.RELEASED,
        What.GRANTED,
        What.RUNNING,
        What.RESUMED,
    }
)


def marks(timeline: Timeline) -> list[Moment]:
    """Return the moments that are drawn, in their order in time."""
    found = (moment for moment in timeline.moments if moment.what in _MARKS)
    return sorted(found, key=lambda moment: moment.at)


def lane(span: Span) -> str:
    """Return the lane on which a span is drawn: a host, or a device of a host."""
    return " ".join(part for part in (span.host, span.device) if part)


def lanes(spans: list[Span]) -> list[str]:
    """Return the lanes, in order of first appearance."""
    return list(dict.fromkeys(map(lane, spans)))


def seconds(value: float) -> str:
    """Write a duration as a person would."""
    return f"{value * 1000:.1f} ms" if value < 1 else f"{value:.2f} s"


def text(timeline: Timeline, width: int = 44) -> list[str]:
    """Draw it: one line a span, the blackout's columns marked."""
    start, length = timeline.begun_at, max(timeline.ended_at - timeline.begun_at, 1e-9)
    spans, blackout = timeline.spans(), timeline.blackout

    def columns(span: Span) -> range:
        begin, end = ((at - start) / length * width for at in (span.begun_at, span.ended_at))
        return range(min(width - 1, int(begin)), min(width - 1, int(end)) + 1)

    lane_width = max((len(lane(span)) for span in spans), default=4)
    name_width = max((len(span.step) for span in spans), default=4)
    dark = columns(blackout) if blackout else range(0)
    rows: list[tuple[float, str]] = []
    for span in spans:
        cells = ["░" if i in dark else " " for i in range(width)]
        for i in columns(span):
            cells[i] = "!" if span.failed else "█"
        rows.append(
            (
                span.begun_at,
                f"{span.begun_at - start:8.3f} s  {lane(span):<{lane_width}}  "
                f"{span.step:<{name_width}}  |{''.join(cells)}|  {seconds(span.seconds)}",
            )
        )
    rows += [
        (mark.at, f"{mark.at - start:8.3f} s  {'·' * lane_width}  {mark.what}")
        for mark in marks(timeline)
    ]
    lines = [line for _, line in sorted(rows, key=lambda row: row[0])]
    if blackout:
        lines.append(f"blackout {seconds(blackout.seconds)} (░)")
    return lines

"""A timeline as an SVG picture: the whole move above, its blackout enlarged below."""

from __future__ import annotations

from xml.sax.saxutils import escape

from domwarden.cli.timeline import Span, Timeline, seconds

_ROW, _LEFT, _WIDTH, _TOP = 22, 190, 720, 34
_COLOURS = {
    "TEST": "#7aa6c2",
    "PREPARE": "#4c8c6b",
    "START": "#d08c3f",
    "SYNC": "#b5533c",
    "pre-copy": "#6c71a8",
    "transfer": "#8d6ca8",
}


def svg(timeline: Timeline, title: str) -> str:
    """Return the picture as an SVG document."""
    panels = [_panel(timeline, timeline.start, timeline.finish, 30, title)]
    height = 30 + _height(timeline)
    if timeline.blackout:
        begin, end = timeline.blackout
        margin = (end - begin) * 0.15
        caption = f"the blackout enlarged: {seconds(end - begin)} from suspended to running"
        panels.append(_panel(timeline, begin - margin, end + margin, height + 20, caption))
        height += 20 + _height(timeline)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LEFT + _WIDTH + 30}" height="{height}" '
        'font-family="DejaVu Sans, Helvetica, sans-serif" font-size="12">'
        f'<rect width="100%" height="100%" fill="#fdfcf9"/>{"".join(panels)}</svg>\n'
    )


def _height(timeline: Timeline) -> int:
    return _TOP + _ROW * len(timeline.lanes) + 40


def _panel(timeline: Timeline, begin: float, end: float, top: int, title: str) -> str:
    """Draw the part of the timeline between two moments."""
    length = max(end - begin, 1e-9)

    def x(at: float) -> float:
        return _LEFT + (min(max(at, begin), end) - begin) / length * _WIDTH

    lanes = timeline.lanes
    bottom = top + _TOP + _ROW * len(lanes)
    parts = [f'<text x="12" y="{top}" font-size="14" font-weight="bold">{escape(title)}</text>']
    if timeline.blackout:
        dark_begin, dark_end = (x(at) for at in timeline.blackout)
        parts.append(
            f'<rect x="{dark_begin:.1f}" y="{top + 12}" width="{max(dark_end - dark_begin, 1):.1f}" '
            f'height="{bottom - top - 12}" fill="#22222a" opacity="0.14"/>'
        )
    for row, lane in enumerate(lanes):
        y = top + _TOP + _ROW * row
        parts.append(
            f'<text x="12" y="{y + 12}">{escape(lane)}</text>'
            f'<line x1="{_LEFT}" x2="{_LEFT + _WIDTH}" y1="{y + 17}" y2="{y + 17}" stroke="#e4e0d8"/>'
        )
        for span in timeline.spans:
            if span.lane == lane:
                parts.append(_bar(span, timeline, begin, end, y, x(span.begin), x(_end(span, timeline))))
    shown: float | None = None
    for mark in sorted(timeline.marks, key=lambda mark: mark.at):
        if begin <= mark.at <= end:
            at = x(mark.at)
            parts.append(
                f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{top + 14}" y2="{bottom}" stroke="#888" '
                f'stroke-dasharray="2 3"><title>{escape(mark.name)}</title></line>'
            )
            if shown is None or at - shown > 62:
                parts.append(f'<text x="{at + 2:.1f}" y="{top + 24}" font-size="9">{escape(mark.name)}</text>')
                shown = at
    for tick in range(5):
        at = begin + length * tick / 4
        parts.append(
            f'<text x="{x(at):.1f}" y="{bottom + 16}" font-size="10" fill="#666" '
            f'text-anchor="middle">{seconds(at - timeline.start)}</text>'
        )
    return "".join(parts)


def _end(span: Span, timeline: Timeline) -> float:
    return timeline.finish if span.end is None else span.end


def _bar(
    span: Span, timeline: Timeline, begin: float, end: float, y: int, left: float, right: float
) -> str:
    finish = _end(span, timeline)
    if finish < begin or span.begin > end:
        return ""
    colour = "#c0392b" if span.failed else _COLOURS.get(span.name, "#9a948a")
    label = escape(span.name) if right - left > 7 * len(span.name) else ""
    return (
        f'<rect x="{left:.1f}" y="{y}" width="{max(right - left, 1.5):.1f}" height="15" rx="2" '
        f'fill="{colour}"><title>{escape(span.name)} {seconds(finish - span.begin)}</title></rect>'
        f'<text x="{left + 4:.1f}" y="{y + 11}" font-size="10" fill="#fff">{label}</text>'
    )

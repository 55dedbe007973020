"""A move's timeline as an SVG picture: the whole move above, its blackout enlarged below."""

from __future__ import annotations

from xml.sax.saxutils import escape

from domwarden.cli.chart import lane, lanes, marks, seconds
from domwarden.migration import Span, Timeline

_ROW, _LEFT, _WIDTH, _TOP = 22, 190, 720, 34
_COLOURS = {
    "test": "#7aa6c2",
    "prepare": "#4c8c6b",
    "start": "#d08c3f",
    "sync": "#b5533c",
    "precopy": "#6c71a8",
    "complete": "#8d6ca8",
}


def svg(timeline: Timeline, title: str) -> str:
    """Return the picture as an SVG document."""
    panels = [_panel(timeline, timeline.begun_at, timeline.ended_at, 30, title)]
    height = 30 + _height(timeline)
    if blackout := timeline.blackout:
        margin = blackout.seconds * 0.15
        begin, end = blackout.begun_at - margin, blackout.ended_at + margin
        caption = f"the blackout enlarged: {seconds(blackout.seconds)} from suspended to running"
        panels.append(_panel(timeline, begin, end, height + 20, caption))
        height += 20 + _height(timeline)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LEFT + _WIDTH + 30}" height="{height}" '
        'font-family="DejaVu Sans, Helvetica, sans-serif" font-size="12">'
        f'<rect width="100%" height="100%" fill="#fdfcf9"/>{"".join(panels)}</svg>\n'
    )


def _height(timeline: Timeline) -> int:
    return _TOP + _ROW * len(lanes(timeline.spans())) + 40


def _panel(timeline: Timeline, begin: float, end: float, top: int, title: str) -> str:
    """Draw the part of the timeline between two moments."""
    length = max(end - begin, 1e-9)

    def x(at: float) -> float:
        return _LEFT + (min(max(at, begin), end) - begin) / length * _WIDTH

    spans = timeline.spans()
    rows = lanes(spans)
    bottom = top + _TOP + _ROW * len(rows)
    parts = [f'<text x="12" y="{top}" font-size="14" font-weight="bold">{escape(title)}</text>']
    if blackout := timeline.blackout:
        dark_begin, dark_end = x(blackout.begun_at), x(blackout.ended_at)
        parts.append(
            f'<rect x="{dark_begin:.1f}" y="{top + 12}" '
            f'width="{max(dark_end - dark_begin, 1):.1f}" '
            f'height="{bottom - top - 12}" fill="#22222a" opacity="0.14"/>'
        )
    for row, name in enumerate(rows):
        y = top + _TOP + _ROW * row
        parts.append(
            f'<text x="12" y="{y + 12}">{escape(name)}</text>'
            f'<line x1="{_LEFT}" x2="{_LEFT + _WIDTH}" y1="{y + 17}" y2="{y + 17}" '
            'stroke="#e4e0d8"/>'
        )
        parts += [
            _bar(span, begin, end, y, x(span.begun_at), x(span.ended_at))
            for span in spans
            if lane(span) == name
        ]
    shown: float | None = None
    for mark in marks(timeline):
        if begin <= mark.at <= end:
            at = x(mark.at)
            parts.append(
                f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{top + 14}" y2="{bottom}" stroke="#888" '
                f'stroke-dasharray="2 3"><title>{mark.what}</title></line>'
            )
            if shown is None or at - shown > 62:
                late = at > _LEFT + _WIDTH - 60
                parts.append(
                    f'<text x="{at - 2 if late else at + 2:.1f}" y="{top + 24}" font-size="9" '
                    f'text-anchor="{"end" if late else "start"}">{mark.what}</text>'
                )
                shown = at
    for tick in range(5):
        at = begin + length * tick / 4
        parts.append(
            f'<text x="{x(at):.1f}" y="{bottom + 16}" font-size="10" fill="#666" '
            f'text-anchor="middle">{seconds(at - timeline.begun_at)}</text>'
        )
    return "".join(parts)


def _bar(span: Span, begin: float, end: float, y: int, left: float, right: float) -> str:
    if span.ended_at < begin or span.begun_at > end:
        return ""
    colour = "#c0392b" if span.failed else _COLOURS.get(span.step, "#9a948a")
    label = escape(span.step) if right - left > 7 * len(span.step) else ""
    return (
        f'<rect x="{left:.1f}" y="{y}" width="{max(right - left, 1.5):.1f}" height="15" rx="2" '
        f'fill="{colour}"><title>{escape(span.step)} {seconds(span.seconds)}</title></rect>'
        f'<text x="{left + 4:.1f}" y="{y + 11}" font-size="10" fill="#fff">{label}</text>'
    )

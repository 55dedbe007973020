"""A chart as an SVG picture: the whole move above, its blackout enlarged below."""

from __future__ import annotations

from xml.sax.saxutils import escape

from domwarden.cli.chart import Chart, Span, seconds

_ROW, _LEFT, _WIDTH, _TOP = 22, 190, 720, 34
_COLOURS = {
    "test": "#7aa6c2",
    "prepare": "#4c8c6b",
    "start": "#d08c3f",
    "sync": "#b5533c",
    "precopy": "#6c71a8",
    "complete": "#8d6ca8",
}


def svg(chart: Chart, title: str) -> str:
    """Return the picture as an SVG document."""
    panels = [_panel(chart, chart.start, chart.finish, 30, title)]
    height = 30 + _height(chart)
    if chart.blackout:
        begin, end = chart.blackout
        margin = (end - begin) * 0.15
        caption = f"the blackout enlarged: {seconds(end - begin)} from suspended to running"
        panels.append(_panel(chart, begin - margin, end + margin, height + 20, caption))
        height += 20 + _height(chart)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LEFT + _WIDTH + 30}" height="{height}" '
        'font-family="DejaVu Sans, Helvetica, sans-serif" font-size="12">'
        f'<rect width="100%" height="100%" fill="#fdfcf9"/>{"".join(panels)}</svg>\n'
    )


def _height(chart: Chart) -> int:
    return _TOP + _ROW * len(chart.lanes) + 40


def _panel(chart: Chart, begin: float, end: float, top: int, title: str) -> str:
    """Draw the part of the chart between two moments."""
    length = max(end - begin, 1e-9)

    def x(at: float) -> float:
        return _LEFT + (min(max(at, begin), end) - begin) / length * _WIDTH

    lanes = chart.lanes
    bottom = top + _TOP + _ROW * len(lanes)
    parts = [f'<text x="12" y="{top}" font-size="14" font-weight="bold">{escape(title)}</text>']
    if chart.blackout:
        dark_begin, dark_end = (x(at) for at in chart.blackout)
        parts.append(
            f'<rect x="{dark_begin:.1f}" y="{top + 12}" '
            f'width="{max(dark_end - dark_begin, 1):.1f}" '
            f'height="{bottom - top - 12}" fill="#22222a" opacity="0.14"/>'
        )
    for row, lane in enumerate(lanes):
        y = top + _TOP + _ROW * row
        parts.append(
            f'<text x="12" y="{y + 12}">{escape(lane)}</text>'
            f'<line x1="{_LEFT}" x2="{_LEFT + _WIDTH}" y1="{y + 17}" y2="{y + 17}" '
            'stroke="#e4e0d8"/>'
        )
        parts += [
            _bar(span, chart, begin, end, y, x(span.begin), x(_end(span, chart)))
            for span in chart.spans
            if span.lane == lane
        ]
    shown: float | None = None
    for mark in sorted(chart.marks, key=lambda mark: mark.at):
        if begin <= mark.at <= end:
            at = x(mark.at)
            parts.append(
                f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{top + 14}" y2="{bottom}" stroke="#888" '
                f'stroke-dasharray="2 3"><title>{escape(mark.name)}</title></line>'
            )
            if shown is None or at - shown > 62:
                late = at > _LEFT + _WIDTH - 60
                parts.append(
                    f'<text x="{at - 2 if late else at + 2:.1f}" y="{top + 24}" font-size="9" '
                    f'text-anchor="{"end" if late else "start"}">{escape(mark.name)}</text>'
                )
                shown = at
    for tick in range(5):
        at = begin + length * tick / 4
        parts.append(
            f'<text x="{x(at):.1f}" y="{bottom + 16}" font-size="10" fill="#666" '
            f'text-anchor="middle">{seconds(at - chart.start)}</text>'
        )
    return "".join(parts)


def _end(span: Span, chart: Chart) -> float:
    return chart.finish if span.end is None else span.end


def _bar(
    span: Span, chart: Chart, begin: float, end: float, y: int, left: float, right: float
) -> str:
    finish = _end(span, chart)
    if finish < begin or span.begin > end:
        return ""
    colour = "#c0392b" if span.failed else _COLOURS.get(span.name, "#9a948a")
    label = escape(span.name) if right - left > 7 * len(span.name) else ""
    return (
        f'<rect x="{left:.1f}" y="{y}" width="{max(right - left, 1.5):.1f}" height="15" rx="2" '
        f'fill="{colour}"><title>{escape(span.name)} {seconds(finish - span.begin)}</title></rect>'
        f'<text x="{left + 4:.1f}" y="{y + 11}" font-size="10" fill="#fff">{label}</text>'
    )

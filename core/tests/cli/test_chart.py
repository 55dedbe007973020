"""A chart is drawn as text and as a picture."""

import xml.etree.ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from domwarden.cli.chart import Chart, text
from domwarden.cli.picture import svg


def moved() -> Chart:
    chart = Chart()
    chart.begin("a: root", "PREPARE", 10.0)
    chart.end("a: root", "PREPARE", 10.5)
    chart.begin("a", "pre-copy", 10.5)
    chart.end("a", "pre-copy", 12.0)
    chart.mark("suspended", 12.0)
    chart.begin("a: root", "SYNC", 12.0)
    chart.end("a: root", "SYNC", 12.1, failed=True)
    chart.mark("running", 12.2)
    return chart


def test_the_text_marks_the_blackout() -> None:
    lines = text(moved())
    assert lines[-1] == "blackout 200.0 ms (░)"
    assert any("░" in line for line in lines[:-1])


def test_the_picture_shows_every_span_and_escapes_names() -> None:
    chart = moved()
    chart.begin("b: <eth0>", "TEST", 10.0)
    picture = svg(chart, "web1 & friends")
    root = ET.fromstring(picture)
    titles = [node.text or "" for node in root.iter("{http://www.w3.org/2000/svg}title")]
    assert any(title.startswith("PREPARE 500.0 ms") for title in titles)
    assert "b: <eth0>" in "".join(root.itertext())


@given(st.lists(st.tuples(st.text(max_size=5), st.text(max_size=5), st.floats(0, 1e4))))
def test_any_chart_can_be_drawn(events: list[tuple[str, str, float]]) -> None:
    chart = Chart()
    for lane, name, at in events:
        chart.begin(lane, name, at)
        chart.mark(name, at)
    text(chart)
    svg(chart, "any")

"""A timeline is drawn as text and as a picture."""

import xml.etree.ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from domwarden.cli.picture import svg
from domwarden.cli.timeline import Timeline, text


def moved() -> Timeline:
    timeline = Timeline()
    timeline.begin("a: root", "PREPARE", 10.0)
    timeline.end("a: root", "PREPARE", 10.5)
    timeline.begin("a", "pre-copy", 10.5)
    timeline.end("a", "pre-copy", 12.0)
    timeline.mark("suspended", 12.0)
    timeline.begin("a: root", "SYNC", 12.0)
    timeline.end("a: root", "SYNC", 12.1, failed=True)
    timeline.mark("running", 12.2)
    return timeline


def test_the_text_marks_the_blackout() -> None:
    lines = text(moved())
    assert lines[-1] == "blackout 200.0 ms (░)"
    assert any("░" in line for line in lines[:-1])


def test_the_picture_shows_every_span_and_escapes_names() -> None:
    timeline = moved()
    timeline.begin("b: <eth0>", "TEST", 10.0)
    picture = svg(timeline, "web1 & friends")
    root = ET.fromstring(picture)
    titles = [node.text or "" for node in root.iter("{http://www.w3.org/2000/svg}title")]
    assert any(title.startswith("PREPARE 500.0 ms") for title in titles)
    assert "b: <eth0>" in "".join(root.itertext())


@given(st.lists(st.tuples(st.text(max_size=5), st.text(max_size=5), st.floats(0, 1e4))))
def test_any_timeline_can_be_drawn(events: list[tuple[str, str, float]]) -> None:
    timeline = Timeline()
    for lane, name, at in events:
        timeline.begin(lane, name, at)
        timeline.mark(name, at)
    text(timeline)
    svg(timeline, "any")

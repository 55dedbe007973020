"""A timeline is drawn as text and as a picture."""

import dataclasses
import xml.etree.ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from domwarden.cli.chart import text
from domwarden.cli.picture import svg
from domwarden.migration import Moment, Timeline, What


def heard(*moments: Moment) -> Timeline:
    timeline = Timeline()
    for moment in moments:
        timeline(moment)
    return timeline


def moment(at: float, what: What, host: str = "", step: str = "", device: str = "") -> Moment:
    return Moment(at, what, "web1", host=host, end=host, step=step, device=device)


def moved(*more: Moment) -> Timeline:
    ended = moment(12.1, What.JOB_ENDED, "a", "sync", "root")
    failed = dataclasses.replace(ended, data={"failed": True})
    return heard(
        moment(10.0, What.JOB_BEGUN, "a", "prepare", "root"),
        moment(10.5, What.JOB_ENDED, "a", "prepare", "root"),
        moment(10.5, What.STEP_BEGUN, "a", "precopy"),
        moment(12.0, What.STEP_ENDED, "a", "precopy"),
        moment(12.0, What.SUSPENDED),
        moment(12.0, What.JOB_BEGUN, "a", "sync", "root"),
        failed,
        moment(12.2, What.RUNNING),
        *more,
    )


def test_the_text_has_a_line_for_every_span_and_mark_and_shows_the_blackout() -> None:
    lines = text(moved())
    assert [line.partition("|")[0].split() for line in lines[:-1]] == [
        ["0.000", "s", "a", "root", "prepare"],
        ["0.500", "s", "a", "precopy"],
        ["2.000", "s", "a", "root", "sync"],
        ["2.000", "s", "······", "suspended"],
        ["2.200", "s", "······", "running"],
    ]
    assert lines[-1] == "blackout 200.0 ms (░)"
    assert any("░" in line for line in lines[:-1])
    assert ["!" in line for line in lines] == [False, False, True, False, False, False]


def test_the_picture_shows_every_span_and_escapes_names() -> None:
    picture = svg(moved(moment(10.0, What.JOB_BEGUN, "b", "test", "<eth0>")), "web1 & friends")
    root = ET.fromstring(picture)
    titles = [node.text or "" for node in root.iter("{http://www.w3.org/2000/svg}title")]
    assert any(title.startswith("prepare 500.0 ms") for title in titles)
    assert "b <eth0>" in "".join(root.itertext())


@given(
    st.lists(
        st.tuples(
            st.floats(0, 1e4), st.sampled_from(What), st.text(max_size=5), st.text(max_size=5)
        )
    )
)
def test_any_timeline_can_be_drawn(events: list[tuple[float, What, str, str]]) -> None:
    timeline = heard(*(moment(*event) for event in events))
    text(timeline)
    svg(timeline, "any")

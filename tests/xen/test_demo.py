"""The demonstration runs on two real Xen hosts, and tells what the other engines' tells."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from domwarden.cli.demo import telling
from domwarden.cli.progress import Lines

from ..testbeds.xen.bed import Bed
from ..testbeds.xen.demo.dom0 import TIMEOUT_SECONDS
from ..testbeds.xen.demo.story import act

pytestmark = [
    pytest.mark.live,
    pytest.mark.xen,
    pytest.mark.slow,
    pytest.mark.time_limit(2400),
]


class Heard(Lines):
    """A screen that keeps what it was told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)


async def test_the_demonstration_runs_on_two_xen_hosts(
    bed: Bed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Xen fires, domwarden resets, and a third party's device takes part in every step."""
    screen = Heard()
    story = await act(bed, screen)
    assert story.reset_after_seconds > TIMEOUT_SECONDS / 2  # the last kick may be some time old
    assert (story.moved.source, story.moved.destination) == ("m1", "m2")
    assert story.moved.alarms == ()
    spans = story.timeline.spans()
    assert not [span for span in spans if span.failed]
    assert {"test", "prepare", "start", "sync"} <= {s.step for s in spans if s.device == "cad"}
    blackout = story.timeline.blackout
    assert blackout is not None
    assert not blackout.failed
    told = "\n".join(screen.lines)
    for words in (
        "start web1 (xen) on host m1",
        "the hypervisor's watchdog fired ",
        "the guest is back; Xen made domain ",
        "plan: 0 refusals",
        "cad.held.m1.web1 is cad.held.m2.web1",
        "the guest runs on host m2, counted on from ",
        "its watchdog is armed",
        "the same on both sides: disk kept",
    ):
        assert words in told
    telling.draw(story, tmp_path / "demo.svg")
    telling.tell(story, tmp_path / "demo.svg")
    ET.parse(tmp_path / "demo.svg")
    said = capsys.readouterr()
    assert "m2 cad" in said.out
    assert "blackout " in said.out

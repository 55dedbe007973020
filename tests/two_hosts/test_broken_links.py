"""A link that is cut, slow or lossy during a move never makes two copies, and loses none."""

from __future__ import annotations

import time

import pytest

from .breaking import PROMISED_SECONDS, SLACK_SECONDS, End, at, back, expect, waits
from .hosts import Hosts
from .stage import Stage

pytestmark = pytest.mark.live


def test_a_link_that_is_cut_before_the_release_costs_the_guest_seconds(stage: Stage) -> None:
    """It is back at its source while the link is still cut."""

    def act(hosts: Hosts) -> float:
        source = hosts.owner()
        try:
            with at(hosts, "pre-switchover", source):
                since = time.monotonic()
                hosts.wire.cut(source)
            gap = back(hosts, source, since)
        finally:
            hosts.wire.mend(source)
        expect(hosts, End.STAYS, source)
        return gap.seconds

    seconds = stage.play(act)
    print(f"the guest stood still for {seconds:.2f} s")
    assert seconds < PROMISED_SECONDS + SLACK_SECONDS


def test_a_link_that_is_cut_after_the_release_is_waited_for(stage: Stage) -> None:
    """Neither end runs the guest until they can speak; then it arrives."""

    def act(hosts: Hosts) -> None:
        source = hosts.owner()
        try:
            with at(hosts, "released-not-granted", source):
                hosts.wire.cut(source)
            waits(hosts)
        finally:
            hosts.wire.mend(source)
        expect(hosts, End.ARRIVES, source)

    stage.play(act)


def test_a_guest_arrives_over_a_slow_link_that_drops_packets(stage: Stage) -> None:
    """A token bucket with a short queue: what does not fit is lost and sent again."""

    def act(hosts: Hosts) -> None:
        source = hosts.owner()
        bucket = ("tbf", "rate", "200mbit", "burst", "64kb", "limit", "64kb")
        with hosts.wire.poor(source, *bucket):
            hosts.move(source)
            expect(hosts, End.ARRIVES, source)

    stage.play(act)

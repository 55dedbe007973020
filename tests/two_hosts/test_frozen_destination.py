"""A destination that freezes at the switchover costs the guest seconds, and never a copy."""

from __future__ import annotations

import contextlib
import time

import pytest

from .breaking import (
    PROMISED_SECONDS,
    SLACK_SECONDS,
    End,
    Victim,
    at,
    back,
    expect,
    stopped,
    waits,
)
from .hosts import Hosts
from .stage import Stage

pytestmark = pytest.mark.live

FROZEN = (Victim.DESTINATION_QEMU, Victim.DESTINATION_WARDEN)


@pytest.mark.parametrize(
    ("victim", "point"),
    [
        (Victim.DESTINATION_QEMU, "before-continue"),
        pytest.param(Victim.DESTINATION_QEMU, "pre-switchover", marks=pytest.mark.slow),
        (Victim.DESTINATION_WARDEN, "pre-switchover"),
        pytest.param(Victim.DESTINATION_WARDEN, "before-continue", marks=pytest.mark.slow),
        (Victim.DESTINATION_WARDEN, "received-not-ready"),
    ],
)
def test_before_the_release_the_guest_is_back_in_seconds(
    stage: Stage, victim: Victim, point: str
) -> None:
    """While the destination is still frozen; it hears of it when it wakes."""

    def act(hosts: Hosts) -> float:
        source = hosts.owner()
        with contextlib.ExitStack() as frozen:
            with at(hosts, point, source):
                since = time.monotonic()
                frozen.enter_context(stopped(victim.pid(hosts, source)))
            gap = back(hosts, source, since)
        expect(hosts, End.STAYS, source)
        return gap.seconds

    seconds = stage.play(act)
    print(f"{victim} at {point}: the guest stood still for {seconds:.2f} s")
    assert seconds < PROMISED_SECONDS + SLACK_SECONDS


@pytest.mark.parametrize("victim", FROZEN)
def test_after_the_release_the_guest_waits_for_its_destination(
    stage: Stage, victim: Victim
) -> None:
    """However long: the source's copy stays as it is, for the other one may run any moment."""

    def act(hosts: Hosts) -> None:
        source = hosts.owner()
        with contextlib.ExitStack() as frozen:
            with at(hosts, "released-not-granted", source):
                frozen.enter_context(stopped(victim.pid(hosts, source)))
            waits(hosts)
        expect(hosts, End.ARRIVES, source)

    stage.play(act)

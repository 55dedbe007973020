"""Whoever is killed or stopped at whatever point of a move, one copy of the guest runs, whole."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import time
from typing import Any

import pytest

from .breaking import STOPPED_SECONDS, End, Victim, at, expect, kill, stop, stopped
from .hosts import OTHER, Hosts
from .stage import Stage

pytestmark = pytest.mark.live

UNDECIDED = ("before-suspend", "pre-switchover")
#: The destination may have said that it is ready, or not yet.
COMPLETED = "completed"
RELEASED = ("released-not-granted", "granted-not-running")
POINTS = (*UNDECIDED, COMPLETED, *RELEASED)

#: What an everyday run breaks, each case another rule; the long suite breaks everything.
KILLED_EVERY_DAY = {
    (Victim.SOURCE_WARDEN, "pre-switchover"),
    (Victim.DESTINATION_WARDEN, "pre-switchover"),
    (Victim.DESTINATION_WARDEN, "granted-not-running"),
    (Victim.DRIVER, "completed"),
    (Victim.SOURCE_QEMU, "released-not-granted"),
    (Victim.DESTINATION_QEMU, "released-not-granted"),
}
STOPPED_EVERY_DAY = {
    (Victim.DRIVER, "pre-switchover"),
    (Victim.DESTINATION_QEMU, "granted-not-running"),
}


def _cases(every_day: set[tuple[Victim, str]]) -> list[Any]:
    return [
        pytest.param(*case, marks=() if case in every_day else pytest.mark.slow)
        for case in itertools.product(Victim, POINTS)
    ]


def _killed(victim: Victim, point: str) -> End:
    """Say where the guest of a killed one must be."""
    if victim is Victim.SOURCE_WARDEN:
        return End.ARRIVES  # the driver needs no service
    if victim is Victim.DESTINATION_QEMU:
        return End.STAYS  # a copy that was never told to run gives the domain back
    if point in RELEASED:
        return End.ARRIVES
    if victim is Victim.SOURCE_QEMU:
        return End.ARRIVES if point == COMPLETED else End.DIES
    return End.EITHER if point == COMPLETED else End.STAYS


def _stopped(victim: Victim, point: str) -> End:
    """Say where the guest of one that stood still for a while must be."""
    if victim is Victim.SOURCE_WARDEN or point in RELEASED:
        return End.ARRIVES
    return End.EITHER


def test_a_guest_moves_there_and_back_between_two_networks(stage: Stage) -> None:
    """Nothing is broken: what the witness says of it is the measure of everything else."""

    def act(hosts: Hosts) -> None:
        for _ in range(2):
            source = hosts.owner()
            hosts.move(source)
            assert hosts.settled() == OTHER[source]
        hosts.whole()

    stage.play(act)


@pytest.mark.parametrize(("victim", "point"), _cases(KILLED_EVERY_DAY))
def test_a_kill_leaves_one_whole_guest(stage: Stage, victim: Victim, point: str) -> None:
    """Or a person is asked what nobody else can know; a killed service is started again."""
    _play(stage, kill, victim, point, _killed(victim, point))


@pytest.mark.parametrize(("victim", "point"), _cases(STOPPED_EVERY_DAY))
def test_a_stop_leaves_one_whole_guest(stage: Stage, victim: Victim, point: str) -> None:
    """SIGSTOP at that very point, and SIGCONT when the others had time to miss it."""
    _play(stage, stop, victim, point, _stopped(victim, point))


def test_of_a_copy_that_was_told_to_run_nobody_knows(stage: Stage) -> None:
    """It died before it said that it does: what it wrote to its disk is for a person to see."""

    def act(hosts: Hosts) -> None:
        source = hosts.owner()
        with contextlib.ExitStack() as asleep:
            with at(hosts, "granted-not-running", source):
                pid = Victim.DESTINATION_QEMU.pid(hosts, source)
                asleep.enter_context(stopped(pid))
            time.sleep(STOPPED_SECONDS)
            os.kill(pid, signal.SIGKILL)
        expect(hosts, End.ASKS, source)

    stage.play(act)


def _play(stage: Stage, breaking: Any, victim: Victim, point: str, end: End) -> None:
    def act(hosts: Hosts) -> None:
        expect(hosts, end, breaking(hosts, victim, point))

    stage.play(act)

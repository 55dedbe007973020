"""Epochs, blackouts and the order of recovery."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domwarden.contract import (
    Armed,
    Definition,
    MigrationSettings,
    Reading,
    Step,
    TimerClock,
    WatchdogEntry,
)
from domwarden.plan import (
    Begun,
    EpochAnswer,
    claim,
    early,
    late,
    predicted_blackout_seconds,
    watchdog_too_short,
)


def codes(own: int, answer: EpochAnswer | None, **more: object) -> list[str]:
    return [refusal.code for refusal in claim(own, {"b": answer}, **more)[1]]  # type: ignore[arg-type]  # fenced or saved


def test_a_domain_that_nobody_knows_may_start() -> None:
    """The first epoch is one."""
    assert claim(0, {"b": EpochAnswer()}) == (1, ())


def test_silence_counts_as_owner_unless_the_host_is_fenced() -> None:
    """An operator's word replaces the answer."""
    assert codes(3, None) == ["peer-silent"]
    assert codes(3, None, fenced=["b"]) == []


def test_past_a_fenced_host_that_is_silent_the_epoch_leaps() -> None:
    """What it knew is newer than nothing any more, so it takes nothing when it comes back."""
    epoch, refusals = claim(0, {"b": EpochAnswer(), "c": None}, fenced=["c"])
    assert refusals == ()
    assert codes(70, EpochAnswer(epoch)) == ["newer-elsewhere"]
    assert claim(4, {"b": EpochAnswer(5)}, fenced=["b"])[0] == 6


def test_an_equal_or_higher_epoch_refuses() -> None:
    """Whoever had the domain last has its newest disks."""
    assert codes(3, EpochAnswer(2)) == []
    assert codes(3, EpochAnswer(3)) == ["newer-elsewhere"]
    assert codes(3, EpochAnswer(4)) == ["newer-elsewhere"]


def test_a_copy_elsewhere_refuses_whatever_its_epoch() -> None:
    """Also one that its journal does not know."""
    assert codes(3, EpochAnswer(0, copy=True)) == ["copy-elsewhere"]


def test_a_peer_that_acts_on_the_domain_refuses_unless_it_is_fenced() -> None:
    """What it knows may be old at once."""
    assert codes(3, EpochAnswer(busy=True)) == ["peer-busy"]
    assert codes(3, EpochAnswer(busy=True), fenced=["b"]) == []


def test_a_save_is_stale_only_if_a_newer_epoch_is_known() -> None:
    """The host that saved it knows the save's own epoch."""
    assert codes(0, EpochAnswer(3), saved=3) == []
    assert codes(0, EpochAnswer(4), saved=3) == ["stale-save"]


@given(
    own=st.integers(0, 9),
    answers=st.dictionaries(
        st.sampled_from("bcd"),
        st.none() | st.builds(EpochAnswer, st.integers(0, 9), copy=st.booleans()),
    ),
    fenced=st.sets(st.sampled_from("bcd")),
)
def test_a_claimed_epoch_is_higher_than_all_that_is_known(
    own: int, answers: dict[str, EpochAnswer | None], fenced: set[str]
) -> None:
    """Also than what fenced hosts said; and only hosts that are not fenced refuse."""
    epoch, refusals = claim(own, answers, fenced=fenced)
    assert epoch > own
    assert all(answer is None or epoch > answer.epoch for answer in answers.values())
    assert {refusal.host for refusal in refusals} <= set(answers) - fenced


def domain(timeout_seconds: float, downtime: float = 0.3) -> Definition:
    return Definition(
        name="web1",
        uuid="u",
        engine="toy",
        memory_bytes=1,
        watchdog=WatchdogEntry("toy", timeout_seconds=timeout_seconds),
        migration=MigrationSettings(downtime_limit_seconds=downtime),
    )


def test_the_slowest_device_adds_to_the_predicted_blackout() -> None:
    """Devices work at the same time."""
    tickets = [{"blackout_seconds": 2.0}, {"blackout_seconds": 5}, {}]
    assert predicted_blackout_seconds(domain(30), tickets) == pytest.approx(5.3)


@pytest.mark.parametrize(
    ("clock", "armed", "blackout", "refused"),
    [
        (TimerClock.GUEST, Armed.ARMED, 1e9, False),
        (TimerClock.HOST, Armed.ARMED, 14.9, False),
        (TimerClock.HOST, Armed.ARMED, 15.0, True),
        (TimerClock.HOST, Armed.UNKNOWN, 15.0, True),
        (TimerClock.HOST, Armed.DISARMED, 1e9, False),
        (TimerClock.HOST, Armed.ARMED, None, True),
        (TimerClock.UNKNOWN, Armed.ARMED, 15.0, True),
    ],
)
def test_only_a_host_clock_that_may_run_out_refuses(
    clock: TimerClock, armed: Armed, blackout: float | None, refused: bool
) -> None:
    """Half of the time-out is what a guest that kicks in time surely has left."""
    refusal = watchdog_too_short(domain(30), clock, Reading(armed), blackout)
    assert (refusal is not None) is refused
    if refusal is not None:
        assert refusal.code == "watchdog-too-short"


def test_the_time_out_that_is_really_armed_counts() -> None:
    """Not the one that the file intends, where the engine can read the timer."""
    reading = Reading(Armed.ARMED, timeout_seconds=4.0)
    assert watchdog_too_short(domain(30), TimerClock.HOST, reading, 3.0) is not None


begun = st.lists(
    st.builds(Begun, st.uuids().map(str), st.integers(0, 20), st.sampled_from(Step)), max_size=8
)


@given(begun)
def test_recovery_covers_every_begun_device_once_in_reverse(entries: list[Begun]) -> None:
    """TEST begins nothing; the later step first, then the later place in the file."""
    first, second = late(entries), early(entries)
    assert sorted(map(str, first + second)) == sorted(
        str(entry) for entry in entries if entry.step is not Step.TEST
    )
    assert all(entry.step >= Step.START for entry in first)
    assert all(entry.step is Step.PREPARE for entry in second)
    for order in (first, second):
        keys = [(entry.step, entry.position) for entry in order]
        assert keys == sorted(keys, reverse=True)

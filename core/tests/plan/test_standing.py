"""Who owns a domain, and what its unfinished move waits for, in words."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domwarden.contract import End, Movement
from domwarden.plan import Decision, Desired, Fact, Standing, View, owner, waits_for

from .test_settle import views


def standing(end: End, *facts: Fact, decision: Decision = Decision.UNDECIDED) -> Standing:
    view = View(decision=decision, facts=frozenset(facts))
    return Standing("web1", "m2", end, Movement.MIGRATE, view, 40.0)


@pytest.mark.parametrize(
    ("move", "own"),
    [
        (standing(End.SOURCE), "m1"),
        (standing(End.SOURCE, decision=Decision.ABORTED), "m1"),
        (standing(End.SOURCE, decision=Decision.RELEASED), "m2"),
        (standing(End.SOURCE, Fact.RETURNED, decision=Decision.RELEASED), "m1"),
        (standing(End.SOURCE, Fact.RECLAIMED, decision=Decision.RELEASED), "m1"),
        (standing(End.DESTINATION, Fact.READY), "m2"),
        (standing(End.DESTINATION, Fact.READY, Fact.GRANTED), "m1"),
        (standing(End.DESTINATION, Fact.READY, Fact.GRANTED, Fact.CONCEDED), "m2"),
    ],
)
def test_the_owner_of_a_moving_domain_is_who_it_was_released_to(move: Standing, own: str) -> None:
    """One host, whichever end is asked; between release and grant it is the destination."""
    assert owner("m1", Desired.RUNNING, "", [move]) == own


def test_a_save_owns_what_was_released_to_it() -> None:
    """Until it is restored."""
    saving = dataclasses.replace(
        standing(End.SOURCE, decision=Decision.RELEASED), movement=Movement.SAVE, peer="/s"
    )
    assert owner("m1", Desired.RUNNING, "", [saving]) == "the save /s"
    assert waits_for(saving) == ""
    assert owner("m1", Desired.SAVED, "", []) == "its save"
    assert owner("m1", Desired.MOVED, "m3", []) == "m3"
    assert owner("m1", Desired.STOPPED, "", []) == "m1"


def test_a_released_domain_waits_for_its_destination_with_the_command_that_ends_it() -> None:
    """The command is to be typed as it stands."""
    assert waits_for(standing(End.SOURCE, decision=Decision.RELEASED)) == (
        "waits for m2 to say whether it runs web1, which was released to it 40 s ago; m2 does not"
        " answer; if m2 is off for good: domwarden reclaim web1 --fenced m2"
    )
    ran = waits_for(standing(End.SOURCE, Fact.RAN, decision=Decision.RELEASED))
    assert "where web1 was seen running" in ran
    assert ran.endswith("domwarden reclaim web1 --fenced m2 --cold")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 s"), (119.0, "119 s"), (150.0, "2 min"), (7200.0, "2 h"), (1e6, "12 d"), (-5, "0 s")],
)
def test_a_time_is_told_in_a_fitting_unit(seconds: float, words: str) -> None:
    """A clock that was set back makes no time negative."""
    move = standing(End.SOURCE, decision=Decision.RELEASED)
    move = dataclasses.replace(move, decided_seconds_ago=seconds)
    assert f"released to it {words} ago" in waits_for(move)


def test_the_other_waits_name_no_command_that_would_not_help() -> None:
    """A host that came back, or a copy that only its source may let run."""
    back = standing(End.SOURCE, Fact.RESUMED, decision=Decision.ABORTED)
    assert waits_for(back) == "web1 is back here; waits for m2 to hear that the move is off"
    held = waits_for(standing(End.DESTINATION, Fact.READY))
    assert held.startswith("waits for m2 to say whether it released web1")
    assert waits_for(standing(End.SOURCE)) == ""
    assert waits_for(standing(End.DESTINATION)) == ""


@given(view=views, end=st.sampled_from(End), movement=st.sampled_from(Movement))
def test_whatever_is_recorded_has_an_owner(view: View, end: End, movement: Movement) -> None:
    """The words name the other host, or there are none."""
    move = Standing("web1", "m2", end, movement, view)
    assert owner("m1", Desired.RUNNING, "", [move]) in {"m1", "m2", "the save m2"}
    words = waits_for(move)
    assert not words or "m2" in words

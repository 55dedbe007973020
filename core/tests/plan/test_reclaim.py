"""A domain that a person takes back runs once, wherever that is interrupted."""

from __future__ import annotations

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from domwarden.contract import End, RunState
from domwarden.plan import (
    UNSEEN_EPOCHS,
    Action,
    Decision,
    EpochAnswer,
    Fact,
    View,
    claim,
    reclaim,
    settle,
)

from .model import GONE, judged
from .test_settle import reachable, settled, views

RELEASED = View(RunState.DEPARTED, decision=Decision.RELEASED)
SILENT: dict[str, EpochAnswer | None] = {"b": None}


def codes(source: View = RELEASED, answers: object = None, **more: object) -> list[str]:
    """Ask the rule for a domain that was released to b, which is named fenced."""
    asked = {"fenced": {"b"}, "answers": answers or SILENT, **more}
    return [r.code for r in reclaim(source, 3, "b", **asked).refusals]  # type: ignore[arg-type]  # a test's shorthand


def test_every_interruption_of_a_reclaim_ends_with_at_most_one_running_copy() -> None:
    """The host fails at any moment, comes back at any moment, and either side asks the plan."""
    worlds = reachable(deaths=0, reclaims=True)
    ways = set()
    for world in worlds:
        if not world.source.has(Fact.RECLAIMED):
            continue
        end, action = settled(world)
        assert action is Action.DONE, (world, end, action)
        assert end.source.done
        if end.source.has(Fact.WRITTEN_OFF):
            assert (end.running, end.source.state) == (0, RunState.ABSENT)
        else:
            assert (end.running, end.source.state) == (1, RunState.RUNNING)
        assert end.off or end.destination.done or not end.destination.known
        ways.add((end.source.has(Fact.WRITTEN_OFF), end.off, end.ran_there))
    assert ways == {(a, b, c) for a in (False, True) for b in (False, True) for c in (False, True)}


def test_a_reclaim_whose_copy_dies_meanwhile_says_so() -> None:
    """Nothing runs, nothing is undecided: a cold start is left."""
    for world in reachable(deaths=1, reclaims=True):
        if world.source.has(Fact.RECLAIMED):
            end, action = settled(world)
            assert action is Action.DONE, (world, end, action)
            assert end.running == (end.source.state is RunState.RUNNING)


def test_without_a_reclaim_a_released_domain_waits_for_its_host() -> None:
    """Nobody but a person says that a silent host is gone for good."""
    waiting = 0
    for world in reachable(deaths=0, reclaims=True):
        kept = world.source.facts & {Fact.RECLAIMED, Fact.RETURNED, Fact.STOPPED}
        released = world.source.decision is Decision.RELEASED and not kept
        if world.off and released and world.driver is None:
            waiting += 1
            assert settled(world)[1] is Action.WAIT
            assert judged(world) in ([], ["cold-start-only"]), world
            assert judged(world, cold=True) == []
    assert waiting


def test_what_ran_at_a_fenced_host_is_never_undone_there() -> None:
    """Its disks may be newer than the source's."""
    ran = frozenset({Fact.READY, Fact.GRANTED, Fact.ACTIVATING, Fact.RAN})
    reclaimed = dataclasses.replace(RELEASED, facts=frozenset({Fact.RECLAIMED}), done=True)
    there = View(RunState.ABSENT, facts=ran)
    assert settle(reclaimed, there).action is Action.CONCEDE
    there = dataclasses.replace(there, facts=ran | {Fact.CONCEDED})
    assert settle(reclaimed, there).action is Action.CLOSE
    assert settle(None, there).action is Action.CLOSE


def test_a_fenced_host_that_runs_the_domain_after_all_is_broken() -> None:
    """The operator's word was wrong: two copies may run, and nothing is done about them."""
    reclaimed = View(RunState.RUNNING, decision=Decision.RELEASED, facts={Fact.RECLAIMED})  # type: ignore[arg-type]  # as a frozen set
    facts = frozenset({Fact.READY, Fact.GRANTED, Fact.ACTIVATING, Fact.RAN})
    for state in (RunState.RUNNING, RunState.PAUSED):
        for done in (False, True):
            source = dataclasses.replace(reclaimed, facts=frozenset(reclaimed.facts), done=done)
            assert settle(source, View(state, facts=facts)).action is Action.BROKEN


def test_each_rule_refuses_with_its_remedy() -> None:
    """The reason is told, and what to do about it."""
    assert codes() == []
    assert codes(dataclasses.replace(RELEASED, decision=Decision.UNKNOWN)) == ["journal-lost"]
    assert codes(dataclasses.replace(RELEASED, decision=Decision.UNDECIDED)) == ["not-released"]
    assert codes(dataclasses.replace(RELEASED, decision=Decision.ABORTED)) == ["not-released"]
    assert codes(dataclasses.replace(RELEASED, done=True)) == ["decided"]
    assert codes(dataclasses.replace(RELEASED, facts=frozenset({Fact.RETURNED}))) == ["decided"]
    assert codes(dataclasses.replace(RELEASED, state=RunState.UNKNOWN)) == ["unclear-copy"]
    assert codes(dataclasses.replace(RELEASED, state=RunState.RUNNING)) == ["unclear-copy"]
    assert codes(fenced=()) == ["not-fenced"]
    assert codes(answers={"b": EpochAnswer(4)}) == ["answers"]
    assert codes(answers={"b": None, "c": None}) == ["peer-silent"]
    assert codes(answers={"b": None, "c": None}, fenced={"b", "c"}) == []
    assert codes(answers={"b": None, "c": EpochAnswer(2)}, fenced={"b", "c"}) == ["answers"]
    assert codes(answers={"b": None, "c": EpochAnswer(4)}) == ["newer-elsewhere"]
    assert codes(answers={"b": None, "c": EpochAnswer(2, copy=True)}) == ["copy-elsewhere"]
    assert codes(fenced={"b", "nobody"}) == ["unknown-host"]


def test_a_copy_that_may_not_run_is_only_written_off() -> None:
    """It is gone, or older than its disks."""
    for source in (
        dataclasses.replace(RELEASED, state=RunState.ABSENT),
        dataclasses.replace(RELEASED, state=RunState.ENDED),
        dataclasses.replace(RELEASED, facts=frozenset({Fact.RAN})),
        dataclasses.replace(RELEASED, facts=frozenset({Fact.FINISHED})),
    ):
        assert codes(source) == ["cold-start-only"]
        assert codes(source, cold=True) == []


answers = st.dictionaries(
    st.sampled_from("bcd"),
    st.none() | st.builds(EpochAnswer, st.integers(0, 9), copy=st.booleans()),
)


@given(
    source=views,
    own=st.integers(0, 9),
    answers=answers,
    fenced=st.sets(st.sampled_from("bcde")),
    cold=st.booleans(),
)
def test_a_domain_is_only_reclaimed_where_nobody_else_can_have_it(
    source: View,
    own: int,
    answers: dict[str, EpochAnswer | None],
    fenced: set[str],
    cold: bool,
) -> None:
    """Whatever is claimed: released, its copy still, its host fenced and silent, no epoch newer."""
    verdict = reclaim(source, own, "b", answers, fenced=fenced, cold=cold)
    assert all(refusal.reason and refusal.remedy for refusal in verdict.refusals)
    if verdict.refusals:
        return
    assert source.decision is Decision.RELEASED
    assert source.state in {RunState.DEPARTED, RunState.SUSPENDED, *GONE}
    assert "b" in fenced
    for peer, answer in answers.items():
        assert (answer is None) is (peer in fenced)
        if answer is not None:
            assert answer.epoch < own or answer.epoch == 0
            assert not answer.copy
    if not cold:
        assert source.state not in GONE
        assert not source.has(Fact.RAN)
    assert verdict.epoch == own + UNSEEN_EPOCHS


def test_a_host_that_comes_back_may_not_start_what_was_reclaimed() -> None:
    """Its own epoch, however often it ran alone, is lower than the one that was taken."""
    epoch = reclaim(RELEASED, 3, "b", SILENT, fenced={"b"}).epoch
    _, refusals = claim(3 + 5, {"a": EpochAnswer(epoch)})
    assert [refusal.code for refusal in refusals] == ["newer-elsewhere"]


@given(source=views, destination=views)
def test_the_plan_resumes_no_reclaimed_copy_twice(source: View, destination: View) -> None:
    """A reclaimed domain is granted to nobody, and its destination is let run nothing."""
    source = dataclasses.replace(
        source,
        decision=Decision.RELEASED,
        facts=(source.facts | {Fact.RECLAIMED}) - {Fact.RETURNED},
    )
    next_ = settle(source, destination)
    assert next_.action not in {Action.GRANT, Action.ACTIVATE, Action.RETURN, Action.FINISH}
    if next_.action is Action.RESUME:
        assert not source.has(Fact.WRITTEN_OFF)
        assert next_.end is End.SOURCE
    if next_.action is Action.STOP:
        assert source.has(Fact.WRITTEN_OFF)

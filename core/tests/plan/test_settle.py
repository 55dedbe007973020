"""Interrupted anywhere and asked again, a move ends with exactly one running copy."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from domwarden.contract import End, RunState
from domwarden.plan import Action, Decision, Fact, View, contradiction, settle

from .model import GONE, SIGHTS, STEPS, TERMINAL, World, asked, perform, successors


def reachable(deaths: int, *, reclaims: bool = False) -> set[World]:
    """Return every world that any order of steps, interruptions, messages and deaths leads to."""
    seen = {World()}
    edge = [World()]
    while edge:
        world = edge.pop()
        assert world.running <= 1, world
        for successor in successors(world, deaths, reclaims=reclaims):
            if successor not in seen:
                seen.add(successor)
                edge.append(successor)
    return seen


def settled(world: World) -> tuple[World, Action]:
    """Ask and act, undisturbed and seeing both ends, until there is nothing left to do."""
    for _ in range(100):
        next_ = asked(world, (True, True))
        if next_.action in TERMINAL:
            return world, next_.action
        world = perform(world, next_)[-1]
    raise AssertionError("the plan goes round in circles")


def test_every_interruption_ends_with_one_running_copy() -> None:
    """While nothing dies, every world is settled to one running copy, and never broken."""
    worlds = reachable(deaths=0)
    assert len(worlds) > 100
    assert {world.driver for world in worlds} >= {None, *range(len(STEPS) + 1)}
    for world in worlds:
        if world.driver is None:
            end, action = settled(world)
            assert action is Action.DONE, (world, action)
            assert end.running == 1, (world, end)
            assert end.source.done or not end.destination.known


def test_a_death_loses_nothing_that_was_not_dead() -> None:
    """One copy runs, or what is left waits for a person, or the only copy had died."""
    for world in reachable(deaths=2):
        if world.driver is not None:
            continue
        end, action = settled(world)
        assert end.running <= 1
        if action is Action.DONE and end.running == 0:
            assert end.source_died or end.destination_died
            # A domain that ended by itself: at the destination it had run, at the source it died.
            assert end.destination.has(Fact.RAN) or end.source.state in GONE, (world, end)
        if action in {Action.BROKEN, Action.WAIT}:
            assert end.destination_died, (world, end)
            # The suspended copy is kept, if it did not die too.
            assert end.source.state is RunState.DEPARTED or end.source_died, (world, end)


def test_one_end_alone_never_acts_against_the_other() -> None:
    """Whatever one end does unseen by the other, the invariants of the model hold."""
    for world in reachable(deaths=1):
        if world.driver is None:
            for sight in SIGHTS:
                next_ = asked(world, sight)
                if not sight[0]:
                    assert next_.end is End.DESTINATION or next_.action in TERMINAL
                if not sight[1]:
                    assert next_.end is End.SOURCE or next_.action in TERMINAL


def test_the_death_of_the_source_does_not_lose_a_ready_domain() -> None:
    """Undecided, the source dead, the destination whole: the move goes on."""
    found = 0
    for world in reachable(deaths=1):
        undecided = world.driver is None and world.source.decision is Decision.UNDECIDED
        ready = world.destination.has(Fact.READY) and not world.destination_died
        if undecided and ready and world.source_died:
            found += 1
            assert settled(world)[0].destination.state is RunState.RUNNING
    assert found


def test_the_held_copy_is_gone_before_the_source_runs_again() -> None:
    """A held copy has the image's lock, and might be taken for the domain."""
    for world in reachable(deaths=1):
        if world.driver is None and asked(world, (True, True)).action is Action.RESUME:
            assert world.destination.state in GONE


def test_a_destination_gives_up_before_anything_of_it_is_undone() -> None:
    """Or a repeated message would begin there anew what was given up."""
    undoing = {Action.DISCARD, Action.RECOVER_LATE, Action.RECOVER_EARLY, Action.RESUME}
    for world in reachable(deaths=1):
        aborted = world.source.decision is Decision.ABORTED
        if world.driver is None and aborted and asked(world, (True, True)).action in undoing:
            assert world.destination.has(Fact.GAVE_UP) or world.destination.done, world


def test_a_ready_destination_waits_for_its_silent_source() -> None:
    """It neither discards nor resumes: only the source knows."""
    ready = View(RunState.RECEIVED, facts=frozenset({Fact.OPENED, Fact.READY}))
    assert settle(None, ready).action is Action.WAIT


def test_an_unready_destination_gives_up_alone() -> None:
    """Before ready either side may give up."""
    early = View(RunState.INCOMING, facts=frozenset({Fact.OPENED}))
    assert settle(None, early).action is Action.GIVE_UP


def test_a_released_source_waits_for_its_silent_destination() -> None:
    """The suspended copy is kept."""
    released = View(RunState.DEPARTED, decision=Decision.RELEASED)
    assert settle(released, None).action is Action.WAIT


def test_an_unknown_decision_is_broken_and_never_none() -> None:
    """A journal that cannot tell is not one that says no."""
    source = View(RunState.DEPARTED, decision=Decision.UNKNOWN)
    assert settle(source, None).action is Action.BROKEN


def test_a_lost_journal_of_the_destination_is_broken() -> None:
    """It was ready once, or the source would not have released."""
    released = View(RunState.DEPARTED, decision=Decision.RELEASED)
    nothing = View(RunState.ABSENT, known=False)
    assert settle(released, nothing).action is Action.BROKEN


def test_two_running_copies_are_broken() -> None:
    """Nothing is done about them without a person."""
    facts = frozenset({Fact.READY, Fact.GRANTED, Fact.RAN})
    source = View(RunState.RUNNING, decision=Decision.RELEASED)
    assert settle(source, View(RunState.RUNNING, facts=facts)).action is Action.BROKEN


views = st.builds(
    View,
    state=st.sampled_from(RunState),
    known=st.booleans(),
    decision=st.sampled_from(Decision),
    facts=st.frozensets(st.sampled_from(Fact)),
    running=st.booleans(),
    done=st.booleans(),
)


@given(source=st.none() | views, destination=st.none() | views, from_file=st.booleans())
def test_the_plan_answers_anything(
    source: View | None, destination: View | None, from_file: bool
) -> None:
    """Whatever is claimed, there is an answer, for an end that can be asked."""
    next_ = settle(source, destination, source_is_file=from_file)
    if next_.action not in TERMINAL:
        assert (source if next_.end is End.SOURCE else destination) is not None
    if contradiction(source, destination):
        assert next_.action is Action.BROKEN


@given(source=views, destination=views)
def test_the_plan_never_lets_a_second_copy_run(source: View, destination: View) -> None:
    """No resume beside a copy that runs or was granted, no grant or run without a release."""
    next_ = settle(source, destination)
    if source.has(Fact.RECLAIMED) and source.decision is Decision.RELEASED:
        # By a person's word, whose destination is off: one that is not, and answers, ends it all.
        assert next_.action not in {Action.GRANT, Action.ACTIVATE}
        if next_.action in {Action.RESUME, Action.STOP}:
            assert source.has(Fact.WRITTEN_OFF) is (next_.action is Action.STOP)
            gone = destination.done or not destination.known
            assert gone or destination.state not in {RunState.RUNNING, RunState.PAUSED}
        return
    if next_.action is Action.RESUME and not source.has(Fact.RETURNED):
        assert source.decision is Decision.ABORTED
        assert destination.done or destination.state is not RunState.RUNNING
    if next_.action in {Action.GRANT, Action.ACTIVATE, Action.STOP}:
        assert source.decision is Decision.RELEASED
    if next_.action is Action.STOP:
        assert destination.has(Fact.RAN)
    if next_.action is Action.DISCARD:
        assert not destination.has(Fact.RAN) or source.has(Fact.RETURNED)


@given(view=views)
def test_a_view_survives_the_wire(view: View) -> None:
    """What one end says is what the other reads."""
    assert View.from_json(view.as_json()) == view

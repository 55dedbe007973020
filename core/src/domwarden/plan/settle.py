"""The next action of a move that was interrupted, or is past its commit point."""

from __future__ import annotations

import dataclasses
import enum

from domwarden.contract import End, RunState
from domwarden.plan.contradictions import contradiction
from domwarden.plan.views import Decision, Fact, View

#: No live copy is here.
GONE = frozenset({RunState.ABSENT, RunState.ENDED})


class Action(enum.StrEnum):
    """One thing to do at one end; every one of them may be repeated without harm."""

    UNKNOWN = "unknown"
    #: Source: commit the row that says the move is off.
    ABORT = "abort"
    #: Source: commit the row that gives the domain up.
    RELEASE = "release"
    #: Source: take over the epoch of a domain that the destination gave back.
    TAKE_BACK = "take-back"
    #: Source: let the suspended copy go again.
    RESUME = "resume"
    #: Source: destroy the copy that was released, or written off.
    STOP = "stop"
    #: Destination: record that it takes no further step of this move.
    GIVE_UP = "give-up"
    #: Destination: destroy the copy that never ran, and see it gone.
    DISCARD = "discard"
    #: Destination: make the source's release durable.
    GRANT = "grant"
    #: Destination: let the granted copy run, and see it.
    ACTIVATE = "activate"
    #: Destination: record that its dead copy never ran and the source may have the domain back.
    RETURN = "return"
    #: Destination: record that the domain was reclaimed, and never runs here in this move.
    CONCEDE = "concede"
    #: Either: undo the devices begun at START or SYNC.
    RECOVER_LATE = "recover-late"
    #: Either: undo the devices begun only at PREPARE.
    RECOVER_EARLY = "recover-early"
    #: Either: tell the devices that the domain runs over there.
    FINISH = "finish"
    #: Either: close what is left and mark this end's part as done.
    CLOSE = "close"
    #: Nobody can act until the other end answers.
    WAIT = "wait"
    #: No rule settles it; a person must decide.
    BROKEN = "broken"
    #: Nothing is left to do.
    DONE = "done"


@dataclasses.dataclass(frozen=True)
class Next:
    """An action, the end it is for, and why."""

    action: Action
    end: End
    why: str = ""


def settle(source: View | None, destination: View | None, *, source_is_file: bool = False) -> Next:
    """Return the next action from what each end knows; an end that cannot be asked is None.

    With ``source_is_file`` (a restore) there is no source: a file changes no mind, so what is not
    granted may be given up at any time.
    """
    problem = contradiction(source, destination)
    if problem:
        return Next(Action.BROKEN, End.SOURCE, problem)
    if source is None:
        if destination is None:
            return Next(Action.WAIT, End.SOURCE, "neither end can be asked")
        return _destination_alone(destination, source_is_file=source_is_file)
    if source.decision is Decision.UNDECIDED:
        return _undecided(source, destination)
    if source.decision is Decision.ABORTED:
        return _back(source, destination, "the move is off")
    return _released(source, destination)


def _undecided(source: View, destination: View | None) -> Next:
    ready = (
        destination is not None
        and destination.has(Fact.READY)
        and destination.state is RunState.RECEIVED
    )
    if ready and (source.state in GONE or source.state is RunState.DEPARTED):
        # The destination holds the whole domain and this copy cannot resume by itself: going on
        # loses nothing, and after the death of this copy going back would lose the domain.
        return Next(Action.RELEASE, End.SOURCE, "the destination holds the whole domain")
    return Next(Action.ABORT, End.SOURCE, "the move was interrupted before the domain was released")


def _released(source: View, destination: View | None) -> Next:
    if source.has(Fact.RECLAIMED):
        return _reclaimed(source, destination)
    if source.has(Fact.RETURNED):
        return _back(source, destination, "the destination gave the domain back")
    if source.has(Fact.STOPPED):
        return _close(source, destination)
    if destination is None:
        return Next(
            Action.WAIT,
            End.DESTINATION,
            "the domain was released to the destination, which does not answer",
        )
    if destination.has(Fact.RETURNED):
        return Next(Action.TAKE_BACK, End.SOURCE, "the destination gave the domain back")
    if not destination.has(Fact.RAN):
        return _arrive(destination)
    if not destination.has(Fact.FINISHED):
        return Next(Action.FINISH, End.DESTINATION)
    if not source.has(Fact.FINISHED):
        return Next(Action.FINISH, End.SOURCE)
    return Next(Action.STOP, End.SOURCE, "the destination was seen running")


def _close(source: View, destination: View | None) -> Next:
    """Close both ends, the source last; a destination that does not answer can do it alone."""
    if destination is not None and destination.known and not destination.done:
        if destination.state is RunState.INCOMING and not destination.has(Fact.GRANTED):
            # Its journal was lost, and a message that came late began the move anew. Its devices
            # are left as they are: what they were told then may name what the domain has now.
            why = "the domain ran there already"
            given_up = destination.has(Fact.GAVE_UP)
            return Next(Action.DISCARD if given_up else Action.GIVE_UP, End.DESTINATION, why)
        return Next(Action.CLOSE, End.DESTINATION)
    if not source.done:
        return Next(Action.CLOSE, End.SOURCE)
    return Next(Action.DONE, End.SOURCE)


def _arrive(destination: View) -> Next:
    """Bring a released domain to run at its destination, or back if its copy died unseen."""
    state = destination.state
    if state is RunState.UNKNOWN:
        return Next(Action.WAIT, End.DESTINATION, "the destination's copy cannot be observed")
    if not destination.has(Fact.GRANTED):
        if state is RunState.RECEIVED:
            return Next(Action.GRANT, End.DESTINATION)
        if state in GONE:
            return Next(Action.RETURN, End.DESTINATION, "the destination's copy died unstarted")
        return _puzzled(state)
    if state in GONE:
        if not destination.has(Fact.ACTIVATING) or destination.has(Fact.NEVER_RAN):
            return Next(Action.RETURN, End.DESTINATION, "the destination's copy died unstarted")
        return Next(
            Action.BROKEN,
            End.DESTINATION,
            "the destination's copy is dead and may have run: decide whether the source's suspended"
            " copy still fits its disks",
        )
    if state in {RunState.RECEIVED, RunState.PAUSED, RunState.RUNNING}:
        return Next(Action.ACTIVATE, End.DESTINATION)
    return _puzzled(state)


def _puzzled(state: RunState) -> Next:
    why = f"the destination was ready, yet its copy is {state}"
    return Next(Action.BROKEN, End.DESTINATION, why)


def _back(source: View, destination: View | None, why: str) -> Next:
    """Bring the domain back to run at its source; the destination's copy dies first if it can."""
    asked = destination if destination is not None and not destination.done else None
    if asked is not None:
        if not asked.has(Fact.GAVE_UP) and not asked.has(Fact.RETURNED):
            # First of all: a message that comes late must not begin anew what is undone here.
            return Next(Action.GIVE_UP, End.DESTINATION, why)
        if asked.state is not RunState.ABSENT:
            return Next(Action.DISCARD, End.DESTINATION, why)
        if not asked.has(Fact.RECOVERED_LATE):
            return Next(Action.RECOVER_LATE, End.DESTINATION, why)
    if not source.has(Fact.RECOVERED_LATE):
        return Next(Action.RECOVER_LATE, End.SOURCE, why)
    if not source.has(Fact.RESUMED):
        # A destination that does not answer holds no grant, and can never get one any more.
        return Next(Action.RESUME, End.SOURCE, why)
    if not source.has(Fact.RECOVERED_EARLY):
        return Next(Action.RECOVER_EARLY, End.SOURCE, why)
    if asked is not None:
        if not asked.has(Fact.RECOVERED_EARLY):
            return Next(Action.RECOVER_EARLY, End.DESTINATION, why)
        return Next(Action.CLOSE, End.DESTINATION, why)
    if destination is None:
        return Next(
            Action.WAIT, End.DESTINATION, "the destination has not heard that the move is off"
        )
    if not source.done:
        return Next(Action.CLOSE, End.SOURCE, why)
    return Next(Action.DONE, End.SOURCE)


def _reclaimed(source: View, destination: View | None) -> Next:
    """Bring a reclaimed domain back without its destination, which hears of it when it returns."""
    why = "it was reclaimed"
    if not source.done:
        return Next(_reclaim_here(source), End.SOURCE, why)
    if destination is None or destination.done or not destination.known:
        return Next(Action.DONE, End.SOURCE)
    return _concede(destination)


def _reclaim_here(source: View) -> Action:
    if not source.has(Fact.RECOVERED_LATE):
        return Action.RECOVER_LATE
    if source.has(Fact.WRITTEN_OFF):
        if not source.has(Fact.RECOVERED_EARLY):
            return Action.RECOVER_EARLY
        return Action.CLOSE if source.has(Fact.STOPPED) else Action.STOP
    if not source.has(Fact.RESUMED):
        return Action.RESUME
    return Action.CLOSE if source.has(Fact.RECOVERED_EARLY) else Action.RECOVER_EARLY


def _concede(destination: View) -> Next:
    """End the part of a destination whose domain was reclaimed; what may have run is kept."""
    why = "the domain was reclaimed by its source"
    if destination.state is RunState.UNKNOWN:
        return Next(Action.WAIT, End.DESTINATION, "the destination's copy cannot be observed")
    if not destination.has(Fact.CONCEDED):
        return Next(Action.CONCEDE, End.DESTINATION, why)
    if may_have_run(destination):
        # Its disks may be newer than those of the source: nothing of them is undone.
        return Next(Action.CLOSE, End.DESTINATION, why)
    if destination.state is not RunState.ABSENT:
        return Next(Action.DISCARD, End.DESTINATION, why)
    if not destination.has(Fact.RECOVERED_LATE):
        return Next(Action.RECOVER_LATE, End.DESTINATION, why)
    if not destination.has(Fact.RECOVERED_EARLY):
        return Next(Action.RECOVER_EARLY, End.DESTINATION, why)
    return Next(Action.CLOSE, End.DESTINATION, why)


def may_have_run(destination: View) -> bool:
    """Say whether a destination's copy ran there, or may have; a command without answer counts."""
    if destination.has(Fact.RAN):
        return True
    return destination.has(Fact.ACTIVATING) and not destination.has(Fact.NEVER_RAN)


def _destination_alone(destination: View, *, source_is_file: bool) -> Next:
    """Decide for a destination whose source cannot be asked, or is a file."""
    if destination.done:
        return Next(Action.DONE, End.DESTINATION)
    if destination.has(Fact.CONCEDED):
        return _concede(destination)
    if destination.has(Fact.RAN):
        if not destination.has(Fact.FINISHED):
            return Next(Action.FINISH, End.DESTINATION)
        return Next(Action.CLOSE, End.DESTINATION)
    if destination.has(Fact.GRANTED) and not destination.has(Fact.RETURNED):
        return _arrive(destination)
    if not destination.has(Fact.GAVE_UP) and not destination.has(Fact.RETURNED):
        if destination.has(Fact.READY) and not source_is_file:
            return Next(
                Action.WAIT,
                End.DESTINATION,
                "only the source knows whether it released the domain, and it does not answer",
            )
        return Next(Action.GIVE_UP, End.DESTINATION)
    if destination.state is not RunState.ABSENT:
        return Next(Action.DISCARD, End.DESTINATION)
    if not destination.has(Fact.RECOVERED_LATE):
        return Next(Action.RECOVER_LATE, End.DESTINATION)
    if not destination.has(Fact.RECOVERED_EARLY):
        return Next(Action.RECOVER_EARLY, End.DESTINATION)
    return Next(Action.CLOSE, End.DESTINATION)

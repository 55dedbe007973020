"""A world of two ends small enough to visit every state it can be in."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from domwarden.contract import End, RunState
from domwarden.plan import (
    Action,
    Decision,
    EpochAnswer,
    Fact,
    Next,
    View,
    reclaim,
    settle,
)

GONE = {RunState.ABSENT, RunState.ENDED}


_HOME = View(state=RunState.RUNNING)
_AWAY = View(state=RunState.ABSENT, known=False)


@dataclasses.dataclass(frozen=True)
class World:
    """Both ends, the step that an uninterrupted driver does next, and what happened for good."""

    source: View = _HOME
    destination: View = _AWAY
    #: The driver's next step; None once it was interrupted.
    driver: int | None = 0
    #: How far the driver came: messages up to there may arrive again.
    sent: int = 0
    ran_there: bool = False
    source_died: bool = False
    destination_died: bool = False
    #: The destination's host is off; when it comes back, only its journal is as it was.
    off: bool = False

    def at_source(self, *facts: Fact, **changes: object) -> World:
        """Return the world with the source changed."""
        return dataclasses.replace(self, source=_changed(self.source, facts, changes))

    def at_destination(self, *facts: Fact, **changes: object) -> World:
        """Return the world with the destination changed."""
        return dataclasses.replace(self, destination=_changed(self.destination, facts, changes))

    @property
    def running(self) -> int:
        """How many copies run."""
        return [self.source.state, self.destination.state].count(RunState.RUNNING)


def _changed(view: View, facts: tuple[Fact, ...], changes: dict[str, object]) -> View:
    return dataclasses.replace(view, facts=view.facts | set(facts), **changes)  # type: ignore[arg-type]  # a test's shorthand


def willing(view: View) -> bool:
    """Say whether a destination takes further steps of the move."""
    return not view.done and not view.facts & {Fact.GAVE_UP, Fact.RETURNED}


def drive(world: World, step: int) -> World | None:
    """Do one step of the driver; None when it fails, which ends the driver."""
    source, destination = world.source, world.destination
    match STEPS[step]:
        case "opened":
            return world.at_destination(Fact.OPENED, known=True) if willing(destination) else None
        case "listen":
            ok = willing(destination) and destination.state is RunState.ABSENT
            return world.at_destination(state=RunState.INCOMING) if ok else None
        case "suspend":
            return (
                world.at_source(state=RunState.SUSPENDED)
                if source.state is RunState.RUNNING
                else None
            )
        case "complete":
            if source.state is not RunState.SUSPENDED or destination.state is not RunState.INCOMING:
                return None
            return world.at_source(state=RunState.DEPARTED)
        case "received":
            ok = willing(destination) and destination.state is RunState.INCOMING
            return world.at_destination(state=RunState.RECEIVED) if ok else None
        case "ready":
            ok = willing(destination) and destination.state is RunState.RECEIVED
            return world.at_destination(Fact.READY) if ok else None
        case "release":
            if source.decision is not Decision.UNDECIDED:
                return None
            return world.at_source(decision=Decision.RELEASED)
        case "grant":
            ok = willing(destination) and destination.has(Fact.READY)
            return world.at_destination(Fact.GRANTED, Fact.ACTIVATING) if ok else None
        case "activate":
            return _activated(world)
        case "ran":
            return world.at_destination(Fact.RAN)
        case "finish there":
            return world.at_source(Fact.RAN)  # with the intents to finish
        case "finish here" | "stopped":
            return world  # durable with the end's last record
        case "stop":
            return _stopped(world)
        case "done there":
            return world.at_destination(Fact.FINISHED, done=True)
        case "done here":
            return world.at_source(Fact.FINISHED, Fact.STOPPED, done=True)
    raise AssertionError(STEPS[step])


STEPS = (
    "opened",
    "listen",
    "suspend",
    "complete",
    "received",
    "ready",
    "release",
    "grant",
    "activate",
    "ran",
    "finish there",
    "finish here",
    "stop",
    "stopped",
    "done there",
    "done here",
)
#: The driver's steps that are messages, and so may arrive again later: (first, last) of each.
MESSAGES = ((0, 1), (4, 5), (7, 9))


def _activated(world: World) -> World | None:
    if world.destination.state is RunState.RUNNING:
        return world
    if world.destination.state is not RunState.RECEIVED or not willing(world.destination):
        return None
    assert world.destination.has(Fact.GRANTED), "ran without a grant"
    return dataclasses.replace(world.at_destination(state=RunState.RUNNING), ran_there=True)


def _stopped(world: World) -> World:
    known = world.ran_there or world.source.has(Fact.WRITTEN_OFF)
    assert known, "a copy was destroyed before the other one ran"
    return world.at_source(state=RunState.ABSENT)


def _discarded(world: World) -> World:
    assert not (world.ran_there and world.destination.state not in GONE), "a copy that ran is gone"
    return world.at_destination(state=RunState.ABSENT)


def perform(world: World, next_: Next) -> list[World]:
    """Return the worlds after each part of an action; the last one is the action done."""
    here = world.at_source if next_.end is End.SOURCE else world.at_destination
    if next_.end is End.DESTINATION:
        assert not world.off, "a host that is off was asked to act"
        recovers = {Action.RECOVER_LATE, Action.RECOVER_EARLY, Action.DISCARD}
        assert not (world.ran_there and next_.action in recovers), "what a guest wrote was undone"
    match next_.action:
        case Action.ABORT | Action.RELEASE:
            wanted = Decision.ABORTED if next_.action is Action.ABORT else Decision.RELEASED
            return (
                [here(decision=wanted)] if world.source.decision is Decision.UNDECIDED else [world]
            )
        case Action.TAKE_BACK:
            return [here(Fact.RETURNED)]
        case Action.RESUME:
            if world.source.state in GONE:
                return [here(Fact.RESUMED)]
            resumed = here(state=RunState.RUNNING)
            return [resumed, resumed.at_source(Fact.RESUMED)]
        case Action.STOP:
            stopped = _stopped(world)
            return [stopped, stopped.at_source(Fact.STOPPED)]
        case Action.GIVE_UP:
            return [here(Fact.GAVE_UP, known=True)]
        case Action.DISCARD:
            return [_discarded(world)]
        case Action.GRANT | Action.ACTIVATE:
            granted = world
            if next_.action is Action.GRANT:
                granted = here(Fact.GRANTED)
            granted = granted.at_destination(Fact.ACTIVATING)
            activated = _activated(granted)
            if activated is None:
                return [granted]
            return [granted, activated, activated.at_destination(Fact.RAN)]
        case Action.CONCEDE:
            never = {Fact.NEVER_RAN} if world.destination.state is RunState.RECEIVED else set()
            return [here(Fact.CONCEDED, *never)]
        case Action.RETURN:
            assert not world.ran_there, "a domain that ran was given back"
            gone = _discarded(world)
            return [gone, gone.at_destination(Fact.RETURNED)]
        case Action.RECOVER_LATE:
            return [here(Fact.RECOVERED_LATE)]
        case Action.RECOVER_EARLY:
            return [here(Fact.RECOVERED_EARLY)]
        case Action.FINISH:
            return [here(Fact.FINISHED)]
        case Action.CLOSE:
            return [here(done=True)]
    raise AssertionError(next_)


SIGHTS = ((True, True), (True, False), (False, True))
TERMINAL = {Action.DONE, Action.WAIT, Action.BROKEN}


def asked(world: World, sight: tuple[bool, bool]) -> Next:
    """Ask the plan, seeing both ends or one; a host that is off is never seen."""
    sight = (sight[0], sight[1] and not world.off)
    return settle(world.source if sight[0] else None, world.destination if sight[1] else None)


def successors(world: World, deaths: int, *, reclaims: bool = False) -> Iterator[World]:
    """Return every world that one event can make of this one.

    With ``reclaims`` the destination's host may be switched off once, an operator may then ask for
    the domain in either way, and the host may come back.
    """
    if world.driver is not None:
        yield dataclasses.replace(world, driver=None)  # interrupted here
        if world.driver < len(STEPS):
            after = drive(world, world.driver)
            if after is not None:
                step = world.driver + 1
                yield dataclasses.replace(after, driver=step, sent=step)
    else:
        for sight in SIGHTS:
            if world.off and not sight[0]:
                continue
            next_ = asked(world, sight)
            if next_.action not in TERMINAL:
                yield from perform(world, next_)
        yield from _late_messages(world)
    if reclaims:
        yield from _fenced(world)
    if world.source_died + world.destination_died < deaths:
        if world.source.state not in GONE:
            dead = world.at_source(state=RunState.ENDED)
            yield dataclasses.replace(dead, source_died=True)
        if world.destination.state not in GONE:
            dead = world.at_destination(state=RunState.ENDED)
            yield dataclasses.replace(dead, destination_died=True)


def judged(world: World, *, cold: bool = False, own: int = 1) -> list[str]:
    """Ask the rule whether the operator may reclaim; returns the codes of what is against it."""
    answer = None if world.off else EpochAnswer(own, copy=world.destination.state not in GONE)
    asked = reclaim(world.source, own, "b", {"b": answer}, fenced={"b"}, cold=cold)
    return [refusal.code for refusal in asked.refusals]


def _fenced(world: World) -> Iterator[World]:
    """Switch the destination's host off, reclaim the domain, switch the host on again."""
    if world.off:
        for cold in (False, True):
            if world.driver is None and not judged(world, cold=cold):
                more = {Fact.WRITTEN_OFF} if cold else set()
                assert cold or not world.source.has(Fact.RAN), "an outdated copy is to run"
                yield world.at_source(Fact.RECLAIMED, *more)
        yield dataclasses.replace(world, off=False)
    elif not world.destination_died:
        gone = world.at_destination(state=RunState.ABSENT)
        # What is on its way to a host that is switched off never arrives.
        yield dataclasses.replace(gone, driver=None, sent=-1, off=True, destination_died=True)


def _late_messages(world: World) -> Iterator[World]:
    """Deliver a message of the interrupted driver once more, or for the first time."""
    for first, last in MESSAGES:
        if world.sent < first:
            continue
        late: World | None = world
        for step in range(first, last + 1):
            late = drive(late, step) if late is not None else None
            if late is not None:
                yield late

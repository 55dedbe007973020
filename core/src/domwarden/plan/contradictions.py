"""Pairs of facts that no order of events allows, so that a person must look."""

from __future__ import annotations

from domwarden.contract import RunState
from domwarden.plan.views import Decision, Fact, View


def contradiction(source: View | None, destination: View | None) -> str | None:
    """Return what is impossible about the two ends, or None.

    An end that cannot be asked is None; a lost or restored journal shows up here.
    """
    if destination is not None:
        problem = _destination(destination)
        if problem:
            return problem
    if source is None:
        return None
    if source.decision is Decision.UNKNOWN:
        return "the source's journal does not say whether it released the domain"
    kept = source.done or source.has(Fact.RETURNED) or source.has(Fact.RECLAIMED)
    if source.decision is Decision.RELEASED and source.state is RunState.RUNNING and not kept:
        return "the source released the domain, yet it runs there"
    if destination is None:
        return None
    return _pair(source, destination)


def _destination(view: View) -> str | None:
    if view.has(Fact.RAN) and not view.has(Fact.GRANTED):
        return "the destination ran the domain without a grant"
    if view.has(Fact.RAN, Fact.RETURNED):
        return "the destination gave a domain back that had run there"
    if view.has(Fact.GRANTED, Fact.GAVE_UP):
        return "the destination gave the move up and was granted the domain"
    if view.state is RunState.RUNNING and not view.has(Fact.GRANTED) and not view.done:
        return "the destination runs the domain without a grant"
    if view.has(Fact.RETURNED) and view.state is RunState.RUNNING and not view.done:
        return "the destination gave the domain back, yet it runs there"
    if view.has(Fact.CONCEDED):
        return _reclaimed(view)
    return None


def _pair(source: View, destination: View) -> str | None:
    if source.has(Fact.RETURNED) and destination.has(Fact.RAN):
        return "the source took a domain back that had run at the destination"
    if source.has(Fact.RECLAIMED):
        return _reclaimed(destination)
    if destination.has(Fact.CONCEDED):
        return "the destination heard that the domain was reclaimed, and its source knows nothing"
    granted = destination.has(Fact.GRANTED)
    if source.decision is not Decision.RELEASED and granted:
        return "the destination was granted a domain that the source never released"
    if source.decision is Decision.RELEASED and not source.done:
        if not destination.known:
            return "the source released the domain to a destination that does not know of it"
        if not destination.has(Fact.READY):
            return "the source released the domain to a destination that was never ready"
    return None


def _reclaimed(destination: View) -> str | None:
    """Judge a host that came back although it was called gone for good; it may be a new one."""
    if destination.done or destination.state not in {RunState.RUNNING, RunState.PAUSED}:
        return None
    return (
        f"the domain was reclaimed by its source, yet a copy is {destination.state} at the"
        " destination, which was called fenced: decide which copy is right"
    )

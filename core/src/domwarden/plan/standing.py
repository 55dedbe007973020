"""What a host's journal says of a domain: who owns it, and what its unfinished move waits for."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from domwarden.contract import End, Movement
from domwarden.plan.views import Decision, Desired, Fact, View


@dataclasses.dataclass(frozen=True)
class Standing:
    """One unfinished move at this host's end; ``peer`` is the other host, or a save's path.

    ``decided_seconds_ago`` says when its source released it or gave it up; None where it did not,
    or where this is not the source.
    """

    domain: str
    peer: str
    end: End
    movement: Movement
    view: View
    decided_seconds_ago: float | None = None


def owner(here: str, desired: Desired, moved_to: str, moves: Sequence[Standing]) -> str:
    """Name the host (or the save) that owns a domain, as far as this host's journal knows."""
    if moves:
        return _while_moving(here, moves[-1])
    if desired is Desired.MOVED:
        return moved_to
    if desired is Desired.SAVED:
        return "its save"
    return here


def _while_moving(here: str, move: Standing) -> str:
    there = move.peer if move.movement is Movement.MIGRATE else f"the save {move.peer}"
    facts = move.view.facts
    if move.end is End.SOURCE:
        released = move.view.decision is Decision.RELEASED
        return there if released and not facts & {Fact.RETURNED, Fact.RECLAIMED} else here
    granted = Fact.GRANTED in facts and not facts & {Fact.RETURNED, Fact.CONCEDED}
    return here if granted else there


def waits_for(move: Standing) -> str:
    """Say in words what a move waits for while the other host is silent; empty: for nothing.

    Such a move is settled by the next verb without anybody's word.
    """
    if move.movement is not Movement.MIGRATE:
        return ""
    if move.end is End.SOURCE:
        return _source_waits(move)
    facts = move.view.facts
    if Fact.READY in facts and not facts & {Fact.GRANTED, Fact.GAVE_UP, Fact.CONCEDED}:
        return (
            f"waits for {move.peer} to say whether it released {move.domain}; {move.peer} does not"
            " answer; the copy here is whole and stands still until then"
        )
    return ""


def _source_waits(move: Standing) -> str:
    facts, peer = move.view.facts, move.peer
    if Fact.RESUMED in facts:
        return f"{move.domain} is back here; waits for {peer} to hear that the move is off"
    if move.view.decision is not Decision.RELEASED:
        return ""
    if facts & {Fact.RETURNED, Fact.RECLAIMED, Fact.STOPPED}:
        return ""
    ago = move.decided_seconds_ago
    when = f", which was released to it {_length(ago)} ago" if ago is not None else ""
    remedy = f"if {peer} is off for good: domwarden reclaim {move.domain} --fenced {peer}"
    if facts & {Fact.RAN, Fact.FINISHED}:
        return (
            f"waits for {peer}, where {move.domain} was seen running, to end the move; {peer} does"
            f" not answer; {remedy} --cold"
        )
    return (
        f"waits for {peer} to say whether it runs {move.domain}{when}; {peer} does not answer;"
        f" {remedy}"
    )


def _length(seconds: float) -> str:
    for unit, length in (("d", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(seconds, 0.0):.0f} s"

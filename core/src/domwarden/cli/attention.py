"""Words for what an earlier run left of a domain, and what became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from domwarden.cli import output

if TYPE_CHECKING:
    from domwarden.migration import Moment
    from domwarden.warden import DomainStatus


def attention(status: DomainStatus) -> str:
    """Say what of a domain needs somebody's attention, or nothing."""
    from domwarden.migration import Outcome  # here: `domwarden --help` must not pay for it

    stuck = {Outcome.UNKNOWN, Outcome.WAITING, Outcome.BROKEN}
    tried = {one.migration: one for one in status.settled if one.outcome in stuck}
    found = []
    for move in status.operations:
        one = tried.pop(move.migration, None)
        what = f"unfinished migration {move.migration}"
        if one is not None and (one.busy or one.outcome is not Outcome.WAITING):
            what = f"{what}: {one.outcome}"
        found.append(f"{what}: {move.waits_for}" if move.waits_for else what)
    for migration, one in tried.items():
        what = f"migration {migration}" if migration else "start or stop"
        found.append(f"unfinished {what}: {one.outcome}: {one.detail}")
    return "; ".join(found) or status.broken


def tell_settled(moment: Moment) -> None:
    """Tell, on stderr, that something an earlier run left is settled now; an observer."""
    from domwarden.migration import Outcome, What  # as above

    stuck = {Outcome.UNKNOWN, Outcome.WAITING, Outcome.BROKEN}
    if moment.what is What.SETTLED and moment.data["outcome"] not in stuck:
        output.say(f"{moment.domain}: settled what an earlier run left: {moment.data['outcome']}")

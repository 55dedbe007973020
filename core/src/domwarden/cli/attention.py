"""Words for what an earlier run left of a domain, and what became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from domwarden.cli import output

if TYPE_CHECKING:
    from domwarden.migration import Moment
    from domwarden.warden import DomainStatus


def attention(status: DomainStatus) -> str:
    """Say what of a domain needs somebody's attention, or nothing."""
    if not status.migration:
        return status.broken
    tried = {one.migration: one for one in status.settled}.get(status.migration)
    why = f": {tried.outcome}: {tried.detail}" if tried else ""
    return f"unfinished migration {status.migration}{why}"


def tell_settled(moment: Moment) -> None:
    """Tell, on stderr, that something an earlier run left is settled now; an observer."""
    from domwarden.migration import Outcome, What  # here: `domwarden --help` must not pay for it

    stuck = {Outcome.UNKNOWN, Outcome.WAITING, Outcome.BROKEN}
    if moment.what is What.SETTLED and moment.data["outcome"] not in stuck:
        output.say(f"{moment.domain}: settled what an earlier run left: {moment.data['outcome']}")

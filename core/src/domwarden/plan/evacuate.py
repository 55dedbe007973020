"""Which domains leave a host next, and where to."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Sequence


class Policy(enum.StrEnum):
    """In which order domains leave; equals by name."""

    #: What takes longest begins first, so that nothing long is left at the end.
    LARGEST_FIRST = "largest-first"
    SMALLEST_FIRST = "smallest-first"
    BY_NAME = "by-name"


@dataclasses.dataclass(frozen=True)
class Limits:
    """How many moves may be under way at once: at any one host, and between any two."""

    per_host: int = 4
    per_link: int = 2


@dataclasses.dataclass(frozen=True)
class Leaver:
    """A domain that is to leave."""

    domain: str
    memory_bytes: int


@dataclasses.dataclass(frozen=True)
class Haven:
    """A host that domains may go to; ``free_bytes`` as it said at first, None: unknown."""

    host: str
    free_bytes: int | None = None


@dataclasses.dataclass(frozen=True)
class Trip:
    """One move of one domain."""

    domain: str
    host: str


@dataclasses.dataclass(frozen=True)
class Evacuation:
    """How far an evacuation is; a trip is in exactly one of the three, or was never planned."""

    under_way: frozenset[Trip] = frozenset()
    arrived: frozenset[Trip] = frozenset()
    #: Refused, or failed with the domain back where it was.
    failed: frozenset[Trip] = frozenset()
    #: Domains that are not to be tried any more, whatever else is free.
    given_up: frozenset[str] = frozenset()

    def begun(self, trip: Trip) -> Evacuation:
        """Return it with a trip under way."""
        return dataclasses.replace(self, under_way=self.under_way | {trip})

    def ended(self, trip: Trip, *, arrived: bool, give_up: bool = False) -> Evacuation:
        """Return it with a trip ended; ``give_up``: the domain is not tried elsewhere."""
        return dataclasses.replace(
            self,
            under_way=self.under_way - {trip},
            arrived=self.arrived | {trip} if arrived else self.arrived,
            failed=self.failed if arrived else self.failed | {trip},
            given_up=self.given_up | {trip.domain} if give_up else self.given_up,
        )


def next_trips(
    leavers: Sequence[Leaver],
    havens: Sequence[Haven],
    so_far: Evacuation,
    *,
    limits: Limits,
    policy: Policy = Policy.LARGEST_FIRST,
) -> tuple[Trip, ...]:
    """Return the moves to begin now, in this order; none and none under way: it is over.

    A domain is planned once for each host at most, and never again once it arrived. What does not
    fit into a host's memory now is left for later, and smaller ones go before it.
    """
    memory = {leaver.domain: leaver.memory_bytes for leaver in leavers}
    placed = so_far.under_way | so_far.arrived
    settled = {trip.domain for trip in placed} | so_far.given_up
    busy = {haven.host: 0 for haven in havens}
    free = {haven.host: haven.free_bytes for haven in havens}
    for trip in so_far.under_way:
        busy[trip.host] = busy.get(trip.host, 0) + 1
    for trip in placed:
        _take(free, trip.host, memory.get(trip.domain, 0))
    found: list[Trip] = []
    at_once = min(limits.per_host, limits.per_link)
    for leaver in sorted(leavers, key=_order(policy)):
        if len(so_far.under_way) + len(found) >= limits.per_host:
            break  # the host that is left takes part in each of them
        if leaver.domain in settled:
            continue
        fitting = [
            (busy[haven.host], -(free[haven.host] or 0), index)
            for index, haven in enumerate(havens)
            if Trip(leaver.domain, haven.host) not in so_far.failed
            and busy[haven.host] < at_once
            and _fits(free[haven.host], leaver.memory_bytes)
        ]
        if fitting:
            host = havens[min(fitting)[2]].host
            found.append(Trip(leaver.domain, host))
            busy[host] += 1
            _take(free, host, leaver.memory_bytes)
    return tuple(found)


def _order(policy: Policy) -> Callable[[Leaver], tuple[int, str]]:
    sign = {Policy.LARGEST_FIRST: -1, Policy.SMALLEST_FIRST: 1, Policy.BY_NAME: 0}[policy]
    return lambda leaver: (sign * leaver.memory_bytes, leaver.domain)


def _fits(free_bytes: int | None, memory_bytes: int) -> bool:
    return free_bytes is None or memory_bytes <= free_bytes


def _take(free: dict[str, int | None], host: str, memory_bytes: int) -> None:
    left = free.get(host)
    if left is not None:
        free[host] = left - memory_bytes

"""An evacuation keeps its limits, tries everything once, and ends."""

from __future__ import annotations

import collections
import random
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from domwarden.plan import Evacuation, Haven, Leaver, Limits, Policy, Trip, next_trips

leavers = st.lists(
    st.builds(Leaver, st.sampled_from([f"d{n}" for n in range(9)]), st.integers(0, 8)),
    max_size=9,
    unique_by=lambda leaver: leaver.domain,
)
havens = st.lists(
    st.builds(Haven, st.sampled_from("bcde"), st.none() | st.integers(0, 20)),
    max_size=4,
    unique_by=lambda haven: haven.host,
)
limits = st.builds(Limits, st.integers(1, 5), st.integers(1, 5))
policies = st.sampled_from(Policy)


def run(
    leaving: Sequence[Leaver],
    to: Sequence[Haven],
    bounds: Limits,
    policy: Policy,
    chance: random.Random,
    *,
    failing: float = 0.3,
) -> tuple[list[Trip], Evacuation]:
    """Perform what is planned, in any order of ends, until it is over; checks it on the way."""
    so_far, begun = Evacuation(), []
    memory = {leaver.domain: leaver.memory_bytes for leaver in leaving}
    for _ in range(2 * len(leaving) * (len(to) + 1) + 2):
        planned = next_trips(leaving, to, so_far, limits=bounds, policy=policy)
        assert planned == next_trips(leaving, list(to), so_far, limits=bounds, policy=policy)
        for trip in planned:
            assert trip not in begun
            assert trip.domain not in so_far.given_up
            assert trip.domain not in {t.domain for t in so_far.arrived | so_far.under_way}
            so_far = so_far.begun(trip)
            begun.append(trip)
        check_limits(so_far, to, bounds, memory)
        if not so_far.under_way:
            assert not planned
            return begun, so_far
        trip = chance.choice(sorted(so_far.under_way, key=str))
        kind = chance.random()
        so_far = so_far.ended(trip, arrived=kind >= failing, give_up=kind < failing / 3)
    raise AssertionError("it does not end")


def check_limits(
    so_far: Evacuation, to: Sequence[Haven], bounds: Limits, memory: dict[str, int]
) -> None:
    """No host, no link and no memory has more than it may."""
    assert len(so_far.under_way) <= bounds.per_host
    for count in collections.Counter(trip.host for trip in so_far.under_way).values():
        assert count <= min(bounds.per_link, bounds.per_host)
    for haven in to:
        there = [t for t in so_far.under_way | so_far.arrived if t.host == haven.host]
        if haven.free_bytes is not None:
            assert sum(memory[trip.domain] for trip in there) <= haven.free_bytes


@given(leavers, havens, limits, policies, st.randoms(use_true_random=False))
def test_it_keeps_its_limits_and_ends_having_tried_everything_once(
    leaving: list[Leaver], to: list[Haven], bounds: Limits, policy: Policy, chance: random.Random
) -> None:
    """Whatever is refused, fails or is given up, and in whatever order moves end."""
    begun, so_far = run(leaving, to, bounds, policy, chance)
    assert len(begun) == len(set(begun)) <= len(leaving) * len(to)
    arrived = [trip.domain for trip in so_far.arrived]
    assert len(arrived) == len(set(arrived))
    used = {h.host: 0 for h in to}
    memory = {leaver.domain: leaver.memory_bytes for leaver in leaving}
    for trip in so_far.arrived:
        used[trip.host] += memory[trip.domain]
    for leaver in leaving:
        if leaver.domain in {*arrived, *so_far.given_up}:
            continue
        for haven in to:  # what stays was tried everywhere, or there is no room for it
            full = haven.free_bytes is not None
            room = full and used[haven.host] + leaver.memory_bytes > (haven.free_bytes or 0)
            assert Trip(leaver.domain, haven.host) in so_far.failed or room


@given(leavers, havens, limits, policies)
def test_what_can_begin_begins_in_the_order_of_the_policy(
    leaving: list[Leaver], to: list[Haven], bounds: Limits, policy: Policy
) -> None:
    """Where memory is unknown nothing overtakes."""
    to = [Haven(haven.host) for haven in to]
    begun, so_far = run(leaving, to, bounds, policy, random.Random(0), failing=0.0)
    assert len(so_far.arrived) == (len(leaving) if to else 0)
    sizes = {leaver.domain: leaver.memory_bytes for leaver in leaving}
    order = [sizes[trip.domain] for trip in begun]
    if policy is Policy.LARGEST_FIRST:
        assert order == sorted(order, reverse=True)
    elif policy is Policy.SMALLEST_FIRST:
        assert order == sorted(order)
    else:
        assert [trip.domain for trip in begun] == sorted(trip.domain for trip in begun)


def test_moves_are_spread_over_the_hosts_with_most_room() -> None:
    """The least busy first, then the emptiest, then the order in which they were named."""
    leaving = [Leaver(f"d{n}", 4) for n in range(4)]
    to = [Haven("b", 10), Haven("c", 20), Haven("d")]
    trips = next_trips(leaving, to, Evacuation(), limits=Limits(4, 2))
    assert trips == (Trip("d0", "c"), Trip("d1", "b"), Trip("d2", "d"), Trip("d3", "c"))


def test_what_has_no_room_lets_smaller_ones_pass() -> None:
    """And goes elsewhere, where there is room."""
    leaving = [Leaver("big", 8), Leaver("small", 2)]
    assert next_trips(leaving, [Haven("b", 4)], Evacuation(), limits=Limits()) == (
        Trip("small", "b"),
    )
    assert next_trips(leaving, [Haven("b", 4), Haven("c")], Evacuation(), limits=Limits(1, 1)) == (
        Trip("big", "c"),
    )

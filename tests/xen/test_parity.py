"""Real Xen answers what the scenarios of the parity suite say that it answers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from ..parity.scenarios import SCENARIOS, Scenario
from ..parity.xen import Guests, booted, dom0
from ..testbeds.xen.host import Host

pytestmark = [pytest.mark.live, pytest.mark.xen]

#: In dom0 those that need no expiry, no pause and no save.
HARMLESS = {"lowest_free_id", "unused_ids", "kicked_and_stopped"}
#: The plain hypercall's, which every guest may make.
PLAIN = [scenario for scenario in SCENARIOS if not scenario.raw]


def _expected(scenarios: Sequence[Scenario]) -> dict[str, Sequence[Any]]:
    return {scenario.name: scenario.answers for scenario in scenarios}


@pytest.mark.time_limit(400)
async def test_a_guest_of_xen_gets_the_answers_of_the_scenarios(shared_host: Host) -> None:
    """All in which no time passes, one after the other in one PVH guest."""
    calls = [scenario for scenario in PLAIN if not scenario.seconds]
    found = {}
    async with booted(shared_host) as guest:
        for scenario in calls:
            found[scenario.name] = await scenario.play(guest)
            await guest.release()
    assert found == _expected(calls)


@pytest.mark.time_limit(600)
async def test_time_passes_for_guests_of_xen_as_in_the_scenarios(host: Host) -> None:
    """All in which time passes, each in a PVH guest of its own, several at once."""
    longest_first = sorted(
        (scenario for scenario in PLAIN if scenario.seconds), key=lambda each: -each.seconds
    )
    made = Guests(host)
    await made.prepare()

    async def play(scenario: Scenario) -> Sequence[Any]:
        async with made.guest() as guest:
            return await scenario.play(guest)

    answers = await asyncio.gather(*(play(scenario) for scenario in longest_first))
    found = {each.name: given for each, given in zip(longest_first, answers, strict=True)}
    assert found == _expected(longest_first)


@pytest.mark.time_limit(240)
async def test_dom0_gets_the_answers_of_the_scenarios(host: Host) -> None:
    """Ids, slots and errors of dom0's own timers; other commands; a pointer to nothing."""
    found, expected = {}, {}
    async with dom0(host) as subject:
        for scenario in SCENARIOS:
            if scenario.raw or scenario.name in HARMLESS:
                found[scenario.name] = await scenario.play(subject)
                expected[scenario.name] = scenario.answers
                await subject.release()
    assert len(found) == len(HARMLESS) + 3
    assert found == expected

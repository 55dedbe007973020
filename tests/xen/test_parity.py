"""Real Xen answers what the scenarios of the parity suite say that it answers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from ..parity.scenarios import SCENARIOS, Scenario
from ..parity.xen import Guests, dom0
from ..testbeds.xen.bed import Bed

pytestmark = [pytest.mark.live, pytest.mark.xen]

#: In dom0 those that need no expiry, no pause and no save.
HARMLESS = {"lowest_free_id", "unused_ids", "kicked_and_stopped"}


@pytest.mark.time_limit(550)
@pytest.mark.parametrize("timed", [False, True], ids=["calls", "time"])
async def test_guests_of_xen_get_the_answers_of_the_scenarios(bed: Bed, timed: bool) -> None:
    """Every scenario that the plain hypercall allows, each in a PVH guest of its own."""
    makers = [Guests(host) for host in bed.hosts]
    await asyncio.gather(*(maker.prepare() for maker in makers))

    async def play(scenario: Scenario, maker: Guests) -> Sequence[Any]:
        async with maker.guest() as guest:
            return await scenario.play(guest)

    plain = [each for each in SCENARIOS if not each.raw and each.timed is timed]
    answers = await asyncio.gather(
        *(play(scenario, makers[index % 2]) for index, scenario in enumerate(plain))
    )
    found = {scenario.name: given for scenario, given in zip(plain, answers, strict=True)}
    assert found == {scenario.name: scenario.answers for scenario in plain}


@pytest.mark.time_limit(240)
async def test_dom0_gets_the_answers_of_the_scenarios(bed: Bed) -> None:
    """Ids, slots and errors of dom0's own timers; other commands; a pointer to nothing."""
    found, expected = {}, {}
    async with dom0(bed.m1) as subject:
        for scenario in SCENARIOS:
            if scenario.raw or scenario.name in HARMLESS:
                found[scenario.name] = await scenario.play(subject)
                expected[scenario.name] = scenario.answers
                await subject.release()
    assert len(found) == len(HARMLESS) + 3
    assert found == expected

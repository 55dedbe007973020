"""The embedded engine answers as Xen does, but for the differences that are declared."""

import pytest

from .differences import DIFFERENCES
from .embedded import EmbeddedDomain
from .scenarios import SCENARIOS, Scenario

OTHERWISE = {each.scenario: each.embedded for each in DIFFERENCES}


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda each: each.name)
async def test_same_as_xen_or_declared(scenario: Scenario) -> None:
    """The answers are Xen's, which a live test holds against Xen, or those of the declaration."""
    answers = await scenario.play(EmbeddedDomain())
    assert answers == OTHERWISE.get(scenario.name, scenario.answers)


def test_a_declared_difference_is_one() -> None:
    """Nothing is declared that does not exist, or that is none."""
    xen = {each.name: each.answers for each in SCENARIOS}
    assert len(OTHERWISE) == len(DIFFERENCES)
    for name, answers in OTHERWISE.items():
        assert answers != xen[name]

"""Three wardens in simulated time: no seed breaks a promise, and each broken rule is found."""

from __future__ import annotations

import re

import pytest

from .breaks import BREAKS, Break
from .many import first_failing, run_seeds
from .story import Verdict, run_seed

#: Everyday seeds, and those of the long suite.
QUICK = [range(start, start + 25) for start in range(0, 100, 25)]
LONG = [range(start, start + 250) for start in range(0, 10_000, 250)]


def named(seeds: range) -> str:
    return f"{seeds.start}-{seeds.stop - 1}"


def check(seeds: range) -> None:
    failed = run_seeds(seeds).failed
    replay = f"replay with: python -m tests.simulation {failed[0].seed}" if failed else ""
    assert not failed, "\n".join([*map(str, failed), replay])


@pytest.mark.parametrize("seeds", QUICK, ids=named)
def test_whatever_goes_wrong_one_copy_runs_or_a_person_is_told(seeds: range) -> None:
    """After every event there is at most one, and nothing of the domain is ever lost."""
    check(seeds)


def test_domains_do_move() -> None:
    """Histories in which every move is refused would keep every promise, too."""
    granted = [
        seed for seed in range(10) if any("granted" in line for line in told(run_seed(seed)))
    ]
    assert len(granted) > 2


@pytest.mark.slow
@pytest.mark.parametrize("seeds", LONG, ids=named)
def test_ten_thousand_histories_keep_every_promise(seeds: range) -> None:
    """The same with many more seeds."""
    check(seeds)


@pytest.mark.slow
@pytest.mark.parametrize("broken", BREAKS, ids=lambda broken: broken.name)
def test_a_rule_that_is_broken_on_purpose_is_found(broken: Break) -> None:
    """Each of the design's eight rules, in one or more ways."""
    found = first_failing(broken.seeds, broken.name)
    assert found is not None, f"{broken.seeds} do not notice it"


def test_each_of_the_eight_rules_is_broken() -> None:
    """None of them is only believed."""
    assert {broken.rule for broken in BREAKS} == set(range(1, 9))


@pytest.mark.parametrize("seed", [7, 77, 777])
def test_a_seed_is_the_same_history_every_time(seed: int) -> None:
    """Event by event, whatever ran before it in the same process."""
    run_seed(seed + 1)
    assert told(run_seed(seed)) == told(run_seed(seed))


def told(verdict: Verdict) -> list[str]:
    """Its history, without the name of its directory."""
    return [re.sub(r"simulation-\w+", "", line) for line in verdict.trace]

"""Counting failures in a row."""

from hypothesis import given
from hypothesis import strategies as st

from domwarden.guard.health import Health, Outcome

BAD, GOOD = Outcome(False, "bad"), Outcome(True)


@given(st.integers(0, 4), st.lists(st.booleans(), max_size=30))
def test_a_check_fails_by_its_last_outcomes_alone(retries, outcomes):
    """It failed exactly when the last `retries` + 1 outcomes were all bad."""
    health = Health({"a": retries})
    for index, ok in enumerate(outcomes, 1):
        health.hear("a", GOOD if ok else BAD)
        last = outcomes[max(0, index - retries - 1) : index]
        assert bool(health.failed) == (len(last) == retries + 1 and not any(last))


def test_one_bad_check_is_enough():
    health = Health({"a": 0, "b": 0})
    health.hear("a", GOOD)
    health.hear("b", BAD)
    assert health.failed == {"b": "bad"}


def test_after_a_repair_one_failure_is_enough():
    health = Health({"a": 2})
    for _ in range(3):
        health.hear("a", BAD)
    health.forgive()
    assert not health.failed
    assert not health.well
    health.hear("a", BAD)
    assert health.failed


def test_a_pass_after_a_repair_gives_all_retries_back():
    health = Health({"a": 2})
    for _ in range(3):
        health.hear("a", BAD)
    health.forgive()
    health.hear("a", GOOD)
    assert health.well
    health.hear("a", BAD)
    assert not health.failed

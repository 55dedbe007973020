"""Escalation decides from the entry and the history alone."""

from hypothesis import given
from hypothesis import strategies as st

from domwarden.contract import Action, Escalation, Expiry, WatchdogEntry
from domwarden.watchdog.escalation import response

RULE = Escalation(after=3, within_seconds=600.0, action=Action.PAUSE)


def expiry(at: float) -> Expiry:
    return Expiry("web1", "i6300esb", Action.RESET, at)


def test_the_third_expiry_within_the_time_escalates() -> None:
    entry = WatchdogEntry("i6300esb", escalate=RULE)
    history = [expiry(100.0), expiry(200.0)]
    assert response(entry, history, 200.0) is None
    assert response(entry, [*history, expiry(650.0)], 650.0) is Action.PAUSE


def test_an_old_expiry_does_not_count() -> None:
    entry = WatchdogEntry("i6300esb", escalate=RULE)
    assert response(entry, [expiry(0.0), expiry(500.0), expiry(600.0)], 600.0) is None


def test_the_supervisor_completes_what_the_hypervisor_only_began() -> None:
    entry = WatchdogEntry("i6300esb", action=Action.DUMP)
    assert response(entry, [expiry(1.0)], 1.0, {Action.DUMP}) is Action.DUMP
    assert response(entry, [expiry(1.0)], 1.0) is None  # an engine that dumps by itself


@given(st.lists(st.floats(0, 1e6), min_size=1), st.sampled_from(sorted(Action)))
def test_without_a_rule_the_hypervisor_alone_acts(times: list[float], action: Action) -> None:
    answer = response(WatchdogEntry("x", action=action), map(expiry, times), max(times))
    assert answer is None

"""What the driver asks of xl."""

import dataclasses

import pytest

from domwarden.contract import Action, Definition, Domain, DriverError, Host, WatchdogEntry
from domwarden_xen_wdt import XenWdt

DEFINITION = Definition("web1", "9be5b4e0-0000-4000-8000-000000000001", "xen", 2**27)


def settings(action, **options):
    entry = WatchdogEntry("xen_wdt", action=action, options=options)
    definition = dataclasses.replace(DEFINITION, watchdog=entry)
    domain = Domain(definition, Host("a", None), device="watchdog")
    return XenWdt("watchdog", options).xl_config(domain)


@pytest.mark.parametrize(
    ("action", "word"),
    [
        (Action.RESET, "restart"),
        (Action.POWEROFF, "destroy"),
        (Action.DUMP, "coredump-restart"),
        (Action.PAUSE, "preserve"),
        (Action.SHUTDOWN, "preserve"),
        (Action.NMI, "preserve"),
        (Action.NOTIFY, "preserve"),
    ],
)
def test_each_action_has_its_word_in_xl(action, word):
    """What xl's monitor can do by itself it does, also while domwarden is down."""
    assert settings(action) == {"on_watchdog": word}
    assert set(XenWdt.ACTIONS) == set(Action)


def test_a_clock_that_xen_does_not_have_is_refused():
    assert settings(Action.RESET, clock="host") == {"on_watchdog": "restart"}
    with pytest.raises(DriverError, match="clock: guest is not theirs"):
        settings(Action.RESET, clock="guest")

"""A card in the device model of an hvm guest of Xen."""

from pathlib import Path

import pytest

from domwarden.contract import Action, Definition, Domain, Host, PermanentError, WatchdogEntry
from domwarden_hvm_wdt import I6300esb, Ib700


def domain(kind: str, action: Action = Action.RESET) -> Domain:
    definition = Definition(
        "web1",
        "u",
        "xen",
        2**28,
        watchdog=WatchdogEntry("i6300esb", action=action),
        options={"type": kind},
    )
    return Domain(definition, Host("a", Path("/state")), device="watchdog")


@pytest.mark.parametrize(("driver", "card"), [(I6300esb, "i6300esb"), (Ib700, "ib700")])
def test_the_device_model_gets_the_card_and_its_action(driver: type, card: str) -> None:
    """QEMU's own arguments, as it takes them outside of Xen, too."""
    assert driver("watchdog", {}).xl_config(domain("hvm", Action.POWEROFF)) == {
        "device_model_args_hvm": [
            "-device",
            f'{{"driver":"{card}","id":"watchdog"}}',
            "-action",
            "watchdog=poweroff",
        ]
    }


@pytest.mark.parametrize("kind", ["pvh", "pv"])
def test_only_hvm_guests_have_cards(kind: str) -> None:
    """The others have no device model."""
    with pytest.raises(PermanentError, match="hvm"):
        I6300esb("watchdog", {}).xl_config(domain(kind))


@pytest.mark.parametrize("action", [Action.PAUSE, Action.DUMP, Action.NMI, Action.SHUTDOWN])
def test_what_the_device_model_cannot_do_is_refused(action: Action) -> None:
    """QEMU neither stops nor interrupts processors that are Xen's."""
    with pytest.raises(PermanentError, match=str(action)):
        I6300esb("watchdog", {}).xl_config(domain("hvm", action))

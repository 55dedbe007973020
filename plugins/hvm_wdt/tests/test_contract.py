"""Both drivers keep what the contract kit asks of every driver."""

import pytest

from domwarden.testing.devices import Kind, check_device
from domwarden_hvm_wdt import I6300esb, Ib700


@pytest.mark.parametrize("driver", [I6300esb, Ib700])
def test_the_drivers_keep_the_contract(driver: type) -> None:
    """Hooks decide without I/O, on either end."""
    check_device(driver, kind=Kind.WATCHDOG, engine_hooks=("attach", "qemu_args"))

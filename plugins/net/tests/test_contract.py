"""The driver keeps what the contract kit asks of every driver."""

from domwarden.testing.devices import check_device
from domwarden_net import Net


def test_the_driver_keeps_the_contract() -> None:
    """Hooks decide without I/O, on either end, at every step."""
    for options in ({"bridge": "br0", "mac": "52:54:00:12:34:56"}, {"mode": "user"}):
        check_device(
            Net,
            options,
            refused=({}, {"bridge": "br0", "mode": "user"}),
            engine_hooks=("attach", "qemu_args"),
            host_settings={"bridges": {"br0": "br-lan"}},
        )

"""A host's device in a guest of Xen."""

import dataclasses

import pytest

from domwarden.contract import Definition, Movement, PermanentError, Refusal, Step
from domwarden_pci import Pci

from .views import view

HERE = view(
    definition=Definition("web1", "u", "xen", 2**28), devices={"0000:03:00.0": "0000:05:00.0"}
)


def pci(**options: object) -> Pci:
    return Pci(
        "fast", {"properties": {}, "on_migrate": "refuse", "unplug_timeout": 30.0, **options}
    )


def test_the_hosts_device_is_given_by_its_address_here() -> None:
    """xl knows a device by its address."""
    assert pci(host="0000:03:00.0").xl_config(HERE) == {"pci": ["0000:05:00.0"]}
    with pytest.raises(PermanentError, match="emulated"):
        pci(model="nvme").xl_config(HERE)


@pytest.mark.parametrize("on_migrate", ["refuse", "unplug"])
@pytest.mark.parametrize("movement", [Movement.MIGRATE, Movement.SAVE])
def test_it_never_moves(on_migrate: str, movement: Movement) -> None:
    """xl itself would fail in the middle and name no device."""
    domain = dataclasses.replace(HERE, movement=movement)
    answer = pci(host="0000:03:00.0", on_migrate=on_migrate).migrate(domain, Step.TEST)
    assert isinstance(answer, Refusal)
    assert answer.code == "pci-device"

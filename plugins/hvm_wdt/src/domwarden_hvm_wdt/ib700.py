"""The driver ``ib700``: iBASE's 700 watchdog card, emulated by the hypervisor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from domwarden.contract import (
    CONTRACT,
    Definition,
    Domain,
    Machine,
    Misfit,
    QemuArgument,
    TimerClock,
    hookimpl,
)
from domwarden_hvm_wdt.ib700_card import Ib700Card
from domwarden_hvm_wdt.xen import device_model, misfits


class Ib700:
    """An ISA card with one stage; guests drive it with Linux's ``ib700wdt`` (0 to 30 s, even).

    Its timer is in the hypervisor's own stream, so the steps of a move leave it nothing to do.
    """

    contract = CONTRACT
    SCHEMA: Mapping[Any, Any] = {}
    CLOCK = TimerClock.GUEST

    def __init__(self, id: str, options: Mapping[str, Any]) -> None:  # noqa: A002 - the contract's
        self.id = id

    @classmethod
    def misfits(cls, definition: Definition, options: Mapping[str, Any]) -> Iterator[Misfit]:
        """On Xen only a whole emulated machine has cards."""
        return misfits(definition, "ib700")

    @hookimpl(optionalhook=True)
    def qemu_args(self, domain: Domain) -> list[QemuArgument]:
        """QEMU emulates it; ``-action watchdog=`` is the engine's."""
        return [QemuArgument("device", {"driver": "ib700", "id": self.id})]

    @hookimpl(optionalhook=True)
    def xl_config(self, domain: Domain) -> Mapping[str, Any]:
        """Have Xen's device model emulate it."""
        return device_model(domain, {"driver": "ib700", "id": self.id})

    @hookimpl(optionalhook=True)
    def attach(self, domain: Domain, machine: Machine) -> bool:
        """Put a model of the card on the embedded machine."""
        Ib700Card(machine).plug(self.id)
        return True

    @hookimpl
    def describe(self, domain: Domain) -> Mapping[str, Any]:
        """Name the card, and what time-outs Linux's driver can ask of it."""
        return {"card": "ib700", "shortest_seconds": 2, "longest_seconds": 30}

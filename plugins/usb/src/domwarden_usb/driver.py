"""The driver ``usb``: what each hook decides."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from domwarden.contract import (
    CONTRACT,
    Domain,
    End,
    Hotplug,
    Job,
    JobContext,
    Movement,
    QemuArgument,
    Refusal,
    Step,
    TransientError,
    hookimpl,
)
from domwarden_usb import sysfs
from domwarden_usb.options import SCHEMA, Options

#: USB needs no consent of the guest: the device goes as if somebody had pulled it out.
UNPLUG_SECONDS = 10.0


class Usb:
    """A USB device, the host's or emulated, on a controller of its own."""

    contract = CONTRACT
    SCHEMA = SCHEMA

    def __init__(self, id: str, options: Mapping[str, Any]) -> None:  # noqa: A002 - the contract's
        self.id = id
        self.options = Options.of(options)

    @hookimpl(optionalhook=True)
    def qemu_args(self, domain: Domain) -> list[QemuArgument]:
        """Return controller and device; a device that was unplugged for the move comes later."""
        arrives = domain.end is End.DESTINATION and domain.movement is not None
        return [
            QemuArgument("device", {"driver": "qemu-xhci", "id": self._controller}),
            QemuArgument("device", self._value(), later=arrives and self.options.unplugs),
        ]

    @hookimpl
    def migrate(self, domain: Domain, step: Step) -> Job | Refusal | None:
        """Refuse, or unplug the device before the copying."""
        if step is Step.TEST and not self.options.unplugs:
            leaves = "be saved" if domain.movement is Movement.SAVE else "move"
            return Refusal(
                "usb-device",
                f"USB device {self._name} is part of its host and cannot {leaves} with the guest",
                "remove it, or let the guest do without it meanwhile: on_migrate: unplug",
            )
        if step is Step.PREPARE and self.options.unplugs:
            return Job(f"unplug {self.id}", functools.partial(self._unplug, domain))
        return None

    @hookimpl
    def receive(self, domain: Domain, step: Step) -> Job | None:
        """Refuse where the host's device is missing."""
        host = self.options.host
        if step is not Step.TEST or host is None or not self.options.unplugs:
            return None
        return Job(f"look for {host}", functools.partial(sysfs.check, host))

    @hookimpl
    def clears(self, domain: Domain, blocker: Refusal) -> bool | None:
        """Unplugging removes what the hypervisor has against this device."""
        mine = blocker.device in (self.id, self._controller)
        return True if self.options.unplugs and mine else None

    @hookimpl
    def finish(self, domain: Domain) -> Job | None:
        """Plug the device in where the domain now is."""
        if domain.end is End.SOURCE or not self.options.unplugs:
            return None
        return Job(f"plug in {self.id}", functools.partial(self._plug, domain))

    @hookimpl
    def recover(self, domain: Domain, step: Step) -> Job | None:
        """Plug the device back in at the source."""
        if domain.end is End.DESTINATION or not self.options.unplugs or step is Step.TEST:
            return None
        return Job(f"put back {self.id}", functools.partial(self._plug, domain))

    @hookimpl
    def describe(self, domain: Domain) -> Mapping[str, Any]:
        """Return which device it is and what becomes of it in a move."""
        on_migrate = "unplug" if self.options.unplugs else "refuse"
        return {"device": self._name, "on_migrate": on_migrate}

    @property
    def _name(self) -> str:
        return str(self.options.host or self.options.model)

    @property
    def _controller(self) -> str:
        return f"{self.id}-bus"

    async def _unplug(self, domain: Domain, _context: JobContext) -> None:
        if not await Hotplug(domain, self.id).unplug(UNPLUG_SECONDS):
            raise TransientError(f"QEMU did not take {self.id} out in {UNPLUG_SECONDS:g} s")

    async def _plug(self, domain: Domain, _context: JobContext) -> None:
        await Hotplug(domain, self.id).plug(self._value())

    def _value(self) -> dict[str, Any]:
        value: dict[str, Any] = {"driver": self.options.model, "id": self.id}
        if self.options.host is not None:
            vendor, _, product = self.options.host.partition(":")
            value |= {"driver": "usb-host", "vendorid": int(vendor, 16)}
            value |= {"productid": int(product, 16)}
        return {**value, "bus": f"{self._controller}.0", **self.options.properties}

"""The driver ``pci``: what each hook decides."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any

from domwarden.contract import (
    CONTRACT,
    Definition,
    Domain,
    End,
    Job,
    Misfit,
    Movement,
    PermanentError,
    QemuArgument,
    Refusal,
    Step,
    hookimpl,
)
from domwarden_pci import hotplug, sysfs
from domwarden_pci.options import HOST_SCHEMA, SCHEMA, Options

#: The driver's name in domain and host files.
NAME = "pci"
#: What QMP commands may take beside the guest's own time.
_COMMANDS_SECONDS = 20.0


class Pci:
    """A PCI device, the host's or emulated, whose state no stream can carry."""

    contract = CONTRACT
    SCHEMA = SCHEMA
    HOST_SCHEMA = HOST_SCHEMA

    def __init__(self, id: str, options: Mapping[str, Any]) -> None:  # noqa: A002 - the contract's
        self.id = id
        self.options = Options.of(options)

    @classmethod
    def misfits(cls, definition: Definition, options: Mapping[str, Any]) -> Iterator[Misfit]:
        """Xen hands out devices of the host only, and not to every kind of guest."""
        if definition.engine != "xen":
            return
        if Options.of(options).host is None:
            yield Misfit(("model",), "xen has no emulated PCI devices", "host: ADDRESS")
        if definition.options.get("type", "pvh") == "pvh":
            what = "a pvh guest of xen cannot have PCI devices of the host"
            yield Misfit(("driver",), what, "type: hvm or pv, which then cannot move either")

    @hookimpl(optionalhook=True)
    def qemu_args(self, domain: Domain) -> list[QemuArgument]:
        """Return the device; one that was unplugged for the move comes later."""
        arrives = domain.end is End.DESTINATION and domain.movement is not None
        return [QemuArgument("device", self._value(domain), later=arrives and self.options.unplugs)]

    @hookimpl(optionalhook=True)
    def xl_config(self, domain: Domain) -> Mapping[str, Any]:
        """Return the host's device; raises PermanentError for one of QEMU's."""
        here = self.options.host_here(domain.host.settings(NAME))
        if here is None:
            raise PermanentError(f"PCI device {self.options.model}: xen has no emulated one")
        return {"pci": [here]}

    @hookimpl
    def migrate(self, domain: Domain, step: Step) -> Job | Refusal | None:
        """Refuse, or unplug the device while the guest runs."""
        if step is Step.TEST:
            return self._refusal(domain)
        if step is Step.PREPARE and self.options.unplugs:
            seconds = self.options.unplug_timeout_seconds
            run = functools.partial(hotplug.unplug, domain, self.id, seconds)
            return Job(f"unplug {self.id}", run, seconds + _COMMANDS_SECONDS)
        return None

    @hookimpl
    def receive(self, domain: Domain, step: Step) -> Job | None:
        """Refuse where the host's device is missing or in use."""
        here, asked = self.options.host_here(domain.host.settings(NAME)), self.options.host
        if step is not Step.TEST or here is None or asked is None or not self.options.unplugs:
            return None
        return Job(f"look for {here}", functools.partial(sysfs.check, here, asked))

    @hookimpl
    def clears(self, domain: Domain, blocker: Refusal) -> bool | None:
        """Unplugging removes what the hypervisor has against this device."""
        return True if self.options.unplugs and blocker.device == self.id else None

    @hookimpl
    def finish(self, domain: Domain) -> Job | None:
        """Plug the device in where the domain now is."""
        if domain.end is End.SOURCE or not self.options.unplugs:
            return None
        run = functools.partial(hotplug.plug, domain, self.id, self._value(domain))
        return Job(f"plug in {self.id}", run)

    @hookimpl
    def recover(self, domain: Domain, step: Step) -> Job | None:
        """Plug the device back in at the source."""
        if domain.end is End.DESTINATION or not self.options.unplugs or step is Step.TEST:
            return None
        run = functools.partial(hotplug.put_back, domain, self.id, self._value(domain))
        return Job(f"put back {self.id}", run, hotplug.LATE_SECONDS + _COMMANDS_SECONDS)

    @hookimpl
    def describe(self, domain: Domain) -> Mapping[str, Any]:
        """Return which device it is and what becomes of it in a move."""
        here = self.options.host_here(domain.host.settings(NAME))
        on_migrate = "unplug" if self.options.unplugs else "refuse"
        return {"device": here or self.options.model, "on_migrate": on_migrate}

    def _value(self, domain: Domain) -> dict[str, Any]:
        here = self.options.host_here(domain.host.settings(NAME))
        if here is not None:
            return {"driver": "vfio-pci", "id": self.id, "host": here, **self.options.properties}
        return {"driver": self.options.model, "id": self.id, **self.options.properties}

    def _refusal(self, domain: Domain) -> Refusal | None:
        what = f"PCI device {self.options.host or self.options.model}"
        leaves = "be saved" if domain.movement is Movement.SAVE else "move"
        if domain.definition.engine == "xen":
            return Refusal(
                "pci-device",
                f"{what} is part of its host, and a guest of xen cannot {leaves} with it",
                "stop the domain, take the device out of its file, and start it again",
            )
        if not self.options.unplugs:
            return Refusal(
                "pci-device",
                f"{what} is part of its host and cannot {leaves} with the guest",
                "remove it, or let the guest do without it meanwhile: on_migrate: unplug",
            )
        if not domain.running:
            return Refusal(
                "guest-not-running",
                f"{what} can be unplugged only with the help of a running guest",
                "resume the domain first",
            )
        return None

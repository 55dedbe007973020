"""The driver ``net``: what each hook decides."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from domwarden.contract import (
    CONTRACT,
    Domain,
    End,
    Job,
    Machine,
    PermanentError,
    QemuArgument,
    Step,
    hookimpl,
)
from domwarden_net import jobs, naming
from domwarden_net.nic import Nic
from domwarden_net.options import HOST_SCHEMA, SCHEMA, Options

#: The driver's name in domain and host files.
NAME = "net"
#: Engines whose cards have no wire, then those that join a card to its bridge themselves.
WITHOUT_WIRE = frozenset({"embedded"})
WITHOUT_TAP = WITHOUT_WIRE | {"xen"}


class Net:
    """A network card with a MAC for life, on its host's bridge or behind the hypervisor's NAT."""

    contract = CONTRACT
    SCHEMA = SCHEMA
    HOST_SCHEMA = HOST_SCHEMA

    def __init__(self, id: str, options: Mapping[str, Any]) -> None:  # noqa: A002 - the contract's
        self.id = id
        self.options = Options.of(options)

    @hookimpl(optionalhook=True)
    def qemu_args(self, domain: Domain) -> list[QemuArgument]:
        """Return a virtio card without boot ROM (a ROM's size would have to match over there)."""
        netdev = f"{self.id}-net"
        backend: dict[str, Any] = {"type": "user", "id": netdev}
        if self.options.bridge is not None:
            backend = {"type": "tap", "id": netdev, "ifname": naming.tap_of(domain)}
            backend |= {"script": "no", "downscript": "no"}
        card = {"driver": "virtio-net-pci", "id": self.id, "netdev": netdev}
        return [
            QemuArgument("netdev", backend),
            QemuArgument("device", {**card, "mac": self._mac(domain), "romfile": ""}),
        ]

    @hookimpl(optionalhook=True)
    def xl_config(self, domain: Domain) -> Mapping[str, Any]:
        """Return a card that Xen's own script joins to the bridge (xl-network-configuration(5)).

        Raises PermanentError for a network that Xen does not have.
        """
        bridge = self._bridge(domain)
        if bridge is None:
            raise PermanentError(
                f"network card {self.id}: xen has no network of its own", hint="name a bridge"
            )
        return {"vif": [{"mac": self._mac(domain), "bridge": bridge}]}

    @hookimpl(optionalhook=True)
    def attach(self, domain: Domain, machine: Machine) -> bool:
        """Put a card on the embedded machine; it has no wire, so no bridge either."""
        Nic(self._mac(domain)).plug(machine, self.id)
        return True

    @hookimpl
    def open(self, domain: Domain) -> Job | None:
        """Make the tap."""
        bridge = self._bridge(domain)
        if bridge is None or domain.definition.engine in WITHOUT_TAP:
            return None
        run = functools.partial(jobs.make_tap, naming.tap_of(domain), bridge)
        return Job("make the tap", run)

    @hookimpl
    def close(self, domain: Domain) -> Job | None:
        """Delete the tap."""
        if self._bridge(domain) is None or domain.definition.engine in WITHOUT_TAP:
            return None
        return Job("delete the tap", functools.partial(jobs.delete_tap, naming.tap_of(domain)))

    @hookimpl
    def receive(self, domain: Domain, step: Step) -> Job | None:
        """Refuse, before anything is done, where the bridge is missing."""
        bridge, asked = self._bridge(domain), self.options.bridge
        if step is not Step.TEST or bridge is None or asked is None:
            return None
        return Job("look for the bridge", functools.partial(jobs.check_bridge, bridge, asked))

    @hookimpl
    def recover(self, domain: Domain, step: Step) -> Job | None:
        """Delete the tap that the abandoned copy would have used; the source keeps its own."""
        return self.close(domain) if domain.end is End.DESTINATION else None

    @hookimpl
    def finish(self, domain: Domain) -> Job | None:
        """Announce the card from its new place."""
        if domain.end is End.SOURCE:
            return None
        return Job("announce the card", functools.partial(jobs.announce, domain))

    @hookimpl
    def describe(self, domain: Domain) -> Mapping[str, Any]:
        """Return the MAC and the network."""
        return {"mac": self._mac(domain), "network": self.options.bridge or "user"}

    def _mac(self, domain: Domain) -> str:
        return self.options.mac or naming.mac_of(domain)

    def _bridge(self, domain: Domain) -> str | None:
        if domain.definition.engine in WITHOUT_WIRE:
            return None
        return self.options.bridge_here(domain.host.settings(NAME))

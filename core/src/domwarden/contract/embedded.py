"""What a device means to the ``embedded`` engine."""

from __future__ import annotations

from domwarden.contract.domain import Domain
from domwarden.contract.hooks import hookspec
from domwarden.contract.machine import Machine


class EmbeddedHooks:
    """The hook by which a device joins an embedded machine."""

    @hookspec
    def attach(self, domain: Domain, machine: Machine) -> bool | None:
        """Put the device on the machine's buses; return True (also when it needs no bus)."""

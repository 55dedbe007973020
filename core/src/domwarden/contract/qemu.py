"""What a device means to the ``qemu`` engine, as data."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from domwarden.contract.domain import Domain
from domwarden.contract.hooks import hookspec


@dataclasses.dataclass(frozen=True)
class QemuArgument:
    """One command-line option of QEMU; ``value`` is rendered as JSON where QEMU takes JSON.

    ``option`` has no dash (``device``, ``netdev``, ``blockdev``, ``chardev``, ``tpmdev``).  A PCI
    ``device`` without ``addr`` gets one from the engine, which journals it in the live definition.
    With ``later`` the device has its place but is not on the command line: the driver unplugged it
    for the move, and plugs it in itself (``device_add``) when the domain runs here.
    """

    option: str
    value: Mapping[str, Any]
    later: bool = False


class QemuHooks:
    """The hook by which a device joins a QEMU command line."""

    @hookspec
    def qemu_args(self, domain: Domain) -> list[QemuArgument] | None:
        """Return the device's options on *this* host (``domain.end`` tells which end asks)."""

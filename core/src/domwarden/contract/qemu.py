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
    """

    option: str
    value: Mapping[str, Any]


class QemuHooks:
    """The hook by which a device joins a QEMU command line."""

    @hookspec
    def qemu_args(self, domain: Domain) -> list[QemuArgument] | None:
        """Return the device's options on *this* host (``domain.end`` tells which end asks)."""

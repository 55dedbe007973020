"""What a device means to the ``xen`` engine, as data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from domwarden.contract.domain import Domain
from domwarden.contract.hooks import hookspec


class XenHooks:
    """The hook by which a device joins an xl configuration."""

    @hookspec
    def xl_config(self, domain: Domain) -> Mapping[str, Any] | None:
        """Return the device's settings of xl.cfg(5) on *this* host, as plain data.

        Strings, whole numbers, booleans, and lists of strings or of mappings: a mapping inside a
        list is one device specification (``{"vif": [{"mac": ..., "bridge": ...}]}``), rendered as
        ``key=value,...``; values may hold no comma.  Lists of several devices are joined in the
        order of the file; two devices that give the same scalar must give the same value.  A device
        that needs no setting returns an empty mapping.  A watchdog gives ``on_watchdog``.
        """

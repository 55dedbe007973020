"""The keys that this engine reads in a domain file, then those it reads in the host file."""

from __future__ import annotations

import dataclasses
import ipaddress
from collections.abc import Mapping
from typing import Any

import voluptuous as vol

from domwarden.contract import duration


def _word(value: Any) -> str:
    """Return a name that is safe inside a comma-separated QEMU option; raises Invalid."""
    if not isinstance(value, str) or not value or set(value) & set(",=/ \t\n\0"):
        raise vol.Invalid("expected one word")
    return value


def _listen(value: Any) -> str:
    """Return ``unix`` or an IP address; raises Invalid."""
    if value == "unix":
        return "unix"
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        raise vol.Invalid("expected unix or an IP address of this host") from None
    if address.is_unspecified:
        raise vol.Invalid("expected the one address that the other host connects to")
    return str(address)


def _ports(value: Any) -> tuple[int, int]:
    """Return the first and the last port; raises Invalid."""
    if isinstance(value, list | tuple) and len(value) == 2:
        first, last = value
        both_are_ports = type(first) is int and type(last) is int and 0 <= first <= last <= 65535
        if both_are_ports and (first or not last):
            return first, last
    raise vol.Invalid("expected the first and the last port; [0, 0] is any free one")


SCHEMA: Mapping[Any, Any] = {
    vol.Optional("machine", default="pc"): _word,
    vol.Optional("cpu", default="auto"): _word,
    vol.Optional("auto_converge", default=False): bool,
    vol.Optional("switchover_timeout", default=1.5): vol.Any(float, duration),
}

HOST_SCHEMA: Mapping[Any, Any] = {
    vol.Optional("binary", default="qemu-system-x86_64"): str,
    vol.Optional("accel", default="auto"): vol.In(["auto", "kvm", "tcg"]),
    vol.Optional("listen", default="unix"): _listen,
    vol.Optional("migration_ports", default=(0, 0)): _ports,
}


@dataclasses.dataclass(frozen=True)
class Options:
    """The engine's keys of a domain file, with their defaults."""

    machine: str = "pc"
    cpu: str = "auto"
    auto_converge: bool = False
    #: How much longer than the downtime limit the last part of a live stream may take.
    switchover_timeout: float = 1.5


@dataclasses.dataclass(frozen=True)
class HostOptions:
    """The engine's section of the host file, with its defaults."""

    binary: str = "qemu-system-x86_64"
    accel: str = "auto"
    listen: str = "unix"
    #: The first port that an incoming stream may arrive at, and the last; 0: whichever is free.
    migration_ports: tuple[int, int] = (0, 0)

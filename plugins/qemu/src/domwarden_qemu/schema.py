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
        return str(ipaddress.ip_address(value))
    except ValueError:
        raise vol.Invalid("expected unix or an IP address of this host") from None


SCHEMA: Mapping[Any, Any] = {
    vol.Optional("machine", default="pc"): _word,
    vol.Optional("cpu", default="auto"): _word,
    vol.Optional("auto_converge", default=False): bool,
    vol.Optional("switchover_timeout", default=10.0): vol.Any(float, duration),
}

HOST_SCHEMA: Mapping[Any, Any] = {
    vol.Optional("binary", default="qemu-system-x86_64"): str,
    vol.Optional("accel", default="auto"): vol.In(["auto", "kvm", "tcg"]),
    vol.Optional("listen", default="unix"): _listen,
}


@dataclasses.dataclass(frozen=True)
class Options:
    """The engine's keys of a domain file, with their defaults."""

    machine: str = "pc"
    cpu: str = "auto"
    auto_converge: bool = False
    switchover_timeout: float = 10.0


@dataclasses.dataclass(frozen=True)
class HostOptions:
    """The engine's section of the host file, with its defaults."""

    binary: str = "qemu-system-x86_64"
    accel: str = "auto"
    listen: str = "unix"

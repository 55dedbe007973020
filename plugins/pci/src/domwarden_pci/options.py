"""What a PCI device's entry in a domain file, and the driver's section of a host file, may say."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

import voluptuous as vol

from domwarden.contract import duration

_ADDRESS = re.compile(r"(?:([0-9a-f]{4}):)?([0-9a-f]{2}:[0-1][0-9a-f]\.[0-7])", re.ASCII)
_WORD = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)

#: What QEMU's -device takes beside driver, id, bus and address.
PROPERTIES = {vol.All(str, vol.Match(_WORD)): vol.Any(bool, int, str)}
_TAKEN = {"driver", "id", "addr", "bus"}


def address(value: Any) -> str:
    """Return a PCI address with its domain, in lower case; raises voluptuous.Invalid."""
    match = _ADDRESS.fullmatch(value.lower()) if isinstance(value, str) else None
    if match is None:
        raise vol.Invalid("expected a PCI address such as 0000:03:00.0 (see lspci -D)")
    return f"{match[1] or '0000'}:{match[2]}"


def model(value: Any) -> str:
    """Return the name of one of QEMU's devices; raises voluptuous.Invalid."""
    if not isinstance(value, str) or not _WORD.fullmatch(value):
        raise vol.Invalid("expected the name of a device of QEMU's, such as nvme")
    return value


def one_device(value: dict[str, Any]) -> dict[str, Any]:
    """Return the entry if it names exactly one device; raises voluptuous.Invalid."""
    if ("host" in value) == ("model" in value):
        raise vol.Invalid("expected one of host: ADDRESS and model: NAME")
    for key in sorted(_TAKEN.intersection(value["properties"])):
        raise vol.Invalid("expected no property that domwarden gives itself", ["properties", key])
    return value


SCHEMA = vol.All(
    {
        vol.Optional("host"): address,
        vol.Optional("model"): model,
        vol.Optional("properties", default=dict): PROPERTIES,
        vol.Optional("on_migrate", default="refuse"): vol.In(["refuse", "unplug"]),
        vol.Optional("unplug_timeout", default="30s"): duration,
    },
    one_device,
)

HOST_SCHEMA: Mapping[Any, Any] = {vol.Optional("devices"): {address: address}}


@dataclasses.dataclass(frozen=True)
class Options:
    """One device's options."""

    host: str | None
    model: str | None
    properties: Mapping[str, Any]
    unplugs: bool
    unplug_timeout_seconds: float

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Options:
        """Return them from the validated entry."""
        return cls(
            host=options.get("host"),
            model=options.get("model"),
            properties=options.get("properties", {}),
            unplugs=options.get("on_migrate") == "unplug",
            unplug_timeout_seconds=options.get("unplug_timeout", 30.0),
        )

    def host_here(self, settings: Mapping[str, Any]) -> str | None:
        """Return the device's address on a host with these settings."""
        if self.host is None:
            return None
        return str(settings.get("devices", {}).get(self.host, self.host))

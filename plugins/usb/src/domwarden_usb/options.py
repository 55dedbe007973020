"""What a USB device's entry in a domain file may say."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

import voluptuous as vol

_NUMBERS = re.compile(r"[0-9a-f]{4}:[0-9a-f]{4}", re.ASCII)
_WORD = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)
_TAKEN = {"driver", "id", "bus", "port", "vendorid", "productid"}

#: What QEMU's -device takes beside driver, id and bus.
PROPERTIES = {vol.All(str, vol.Match(_WORD)): vol.Any(bool, int, str)}


def numbers(value: Any) -> str:
    """Return ``vendor:product`` in lower case; raises voluptuous.Invalid."""
    if not isinstance(value, str) or not _NUMBERS.fullmatch(value.lower()):
        raise vol.Invalid("expected VENDOR:PRODUCT such as 046d:c52b (see lsusb)")
    return value.lower()


def model(value: Any) -> str:
    """Return the name of one of QEMU's devices; raises voluptuous.Invalid."""
    if not isinstance(value, str) or not _WORD.fullmatch(value):
        raise vol.Invalid("expected the name of a USB device of QEMU's, such as usb-mtp")
    return value


def one_device(value: dict[str, Any]) -> dict[str, Any]:
    """Return the entry if it names exactly one device; raises voluptuous.Invalid."""
    if ("host" in value) == ("model" in value):
        raise vol.Invalid("expected one of host: VENDOR:PRODUCT and model: NAME")
    for key in sorted(_TAKEN.intersection(value["properties"])):
        raise vol.Invalid("expected no property that domwarden gives itself", ["properties", key])
    return value


SCHEMA = vol.All(
    {
        vol.Optional("host"): numbers,
        vol.Optional("model"): model,
        vol.Optional("properties", default=dict): PROPERTIES,
        vol.Optional("on_migrate", default="refuse"): vol.In(["refuse", "unplug"]),
    },
    one_device,
)


@dataclasses.dataclass(frozen=True)
class Options:
    """One device's options."""

    host: str | None
    model: str | None
    properties: Mapping[str, Any]
    unplugs: bool

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Options:
        """Return them from the validated entry."""
        return cls(
            host=options.get("host"),
            model=options.get("model"),
            properties=options.get("properties", {}),
            unplugs=options.get("on_migrate") == "unplug",
        )

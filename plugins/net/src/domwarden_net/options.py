"""What a card's entry in a domain file, and the driver's section of a host file, may say."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

import voluptuous as vol

_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", re.ASCII)
#: IFNAMSIZ is 16 with its final zero; the kernel refuses / and spaces (dev_valid_name).
_INTERFACE = re.compile(r"[A-Za-z0-9_.@-]{1,15}", re.ASCII)


def mac(value: Any) -> str:
    """Return a unicast MAC in lower case; raises voluptuous.Invalid."""
    text = value.lower() if isinstance(value, str) else ""
    if not _MAC.fullmatch(text):
        raise vol.Invalid("expected a MAC such as 52:54:00:12:34:56")
    if int(text[:2], 16) & 1 or text == "00:00:00:00:00:00":
        raise vol.Invalid("expected the MAC of one card, not of a group or of nobody")
    return text


def interface(value: Any) -> str:
    """Return the name of a network interface; raises voluptuous.Invalid."""
    if not isinstance(value, str) or not _INTERFACE.fullmatch(value) or value in (".", ".."):
        raise vol.Invalid("expected an interface's name of at most 15 letters, such as br0")
    return value


def one_network(value: dict[str, Any]) -> dict[str, Any]:
    """Return the entry if it names exactly one network; raises voluptuous.Invalid."""
    if ("bridge" in value) == ("mode" in value):
        raise vol.Invalid("expected one of bridge: NAME and mode: user")
    return value


_KEYS = {
    vol.Optional("bridge"): interface,
    vol.Optional("mode"): vol.In(["user"]),
    vol.Optional("mac"): mac,
}

SCHEMA = vol.All(_KEYS, one_network)

HOST_SCHEMA: Mapping[Any, Any] = {vol.Optional("bridges"): {interface: interface}}


@dataclasses.dataclass(frozen=True)
class Options:
    """One card's options; without a bridge the network is the hypervisor's own (user mode)."""

    bridge: str | None = None
    mac: str | None = None

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Options:
        """Return them from the validated entry."""
        return cls(bridge=options.get("bridge"), mac=options.get("mac"))

    def bridge_here(self, settings: Mapping[str, Any]) -> str | None:
        """Return the bridge's name on a host with these settings."""
        if self.bridge is None:
            return None
        return str(settings.get("bridges", {}).get(self.bridge, self.bridge))

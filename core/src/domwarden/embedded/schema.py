"""What a domain file may say to the embedded engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import voluptuous as vol

from domwarden.contract import duration, rate, size
from domwarden.embedded.guest.boot import PROGRAMS


def whole_seconds(value: Any) -> int:
    """Return whole seconds from a duration; raises voluptuous.Invalid."""
    seconds = duration(value)
    if seconds != int(seconds) or seconds < 1:
        raise vol.Invalid("expected whole seconds such as 30s")
    return int(seconds)


BOOT: Mapping[Any, Any] = {
    vol.Optional("program"): vol.Any(vol.In(PROGRAMS), [vol.In(PROGRAMS)]),
    vol.Optional("period"): duration,
    vol.Optional("dirty_rate"): rate,
    vol.Optional("dirty_area"): size,
    vol.Optional("timeout"): whole_seconds,
    vol.Optional("kick"): duration,
    vol.Optional("pretimeout"): whole_seconds,
    vol.Optional("nowayout"): vol.Boolean(),
    vol.Optional("resident"): size,
}

SCHEMA: Mapping[Any, Any] = {
    vol.Optional("boot"): BOOT,
    vol.Optional("max_iterations"): vol.All(int, vol.Range(min=1)),
}

HOST_SCHEMA: Mapping[Any, Any] = {
    #: How long the hypervisor's process stays without domains.
    vol.Optional("idle"): duration,
    #: Take streams on a TCP port of this address instead of a Unix socket.
    vol.Optional("listen"): vol.All(str, vol.Length(min=1)),
}

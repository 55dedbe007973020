"""The keys that this engine reads in a domain file, then those it reads in the host file."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import voluptuous as vol

#: 0: whichever is free.
_PORT = vol.All(int, vol.Range(min=0, max=65535))

SCHEMA: Mapping[Any, Any] = {
    vol.Optional("type", default="pvh"): vol.In(["pvh", "pv", "hvm"]),
    vol.Optional("stub_domain", default=False): bool,
}

HOST_SCHEMA: Mapping[Any, Any] = {
    vol.Optional("xl", default="xl"): str,
    vol.Optional("migration_address", default="127.0.0.1"): str,
    vol.Optional("migration_ports", default=[0, 0]): vol.All([_PORT], vol.Length(min=2, max=2)),
    vol.Optional("log_directory", default="/var/log/xen"): str,
    vol.Optional("debug_keys", default=True): bool,
}


@dataclasses.dataclass(frozen=True)
class Options:
    """The engine's keys of a domain file, with their defaults."""

    type: str = "pvh"
    #: Only with ``hvm``: the device model runs in a domain of its own instead of dom0.
    stub_domain: bool = False


@dataclasses.dataclass(frozen=True)
class HostOptions:
    """The engine's section of the host file, with its defaults."""

    xl: str = "xl"
    #: Where this host takes streams of incoming domains; the source connects to exactly this.
    migration_address: str = "127.0.0.1"
    #: The first port that may be listened on, and the last.
    migration_ports: Sequence[int] = (0, 0)
    #: Where libxl puts what the monitors say (XEN_LOG_DIR).
    log_directory: str = "/var/log/xen"
    #: Whether Xen's debug key ``q`` may be pressed to read a watchdog's time left.
    debug_keys: bool = True

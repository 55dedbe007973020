"""The keys that this engine reads in a domain file, then those it reads in the host file."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import voluptuous as vol

SCHEMA: Mapping[Any, Any] = {
    vol.Optional("type", default="pvh"): vol.In(["pvh", "pv", "hvm"]),
}

HOST_SCHEMA: Mapping[Any, Any] = {
    vol.Optional("xl", default="xl"): str,
}


@dataclasses.dataclass(frozen=True)
class Options:
    """The engine's keys of a domain file, with their defaults."""

    type: str = "pvh"


@dataclasses.dataclass(frozen=True)
class HostOptions:
    """The engine's section of the host file, with its defaults."""

    xl: str = "xl"

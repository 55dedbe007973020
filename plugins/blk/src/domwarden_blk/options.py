"""What a domain's file and a host's file may say about disks."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from typing import Any

import voluptuous as vol

from domwarden.contract import path
from domwarden_blk.image import Format


class Placement(enum.StrEnum):
    """Where the image is, as seen from a domain that moves."""

    #: On storage that both hosts see; nothing is copied.
    SHARED = "shared"
    #: On each host's own storage; copied while the guest runs.
    MIRROR = "mirror"
    #: On this host only; the domain does not move.
    LOCAL = "local"


class Cache(enum.StrEnum):
    """Through which caches the guest's writes go."""

    #: Around the host's page cache (``cache.direct``); the guest's flushes are real.
    NONE = "none"
    #: As ``none``, and every write is durable before the guest is told.
    DIRECTSYNC = "directsync"
    #: Through the host's page cache; the guest's flushes are real.
    WRITEBACK = "writeback"

    @property
    def direct(self) -> bool:
        """Whether the host's page cache is out of the way, as two hosts on one image need."""
        return self is not Cache.WRITEBACK


class After(enum.StrEnum):
    """What becomes of the source's image once the mirrored domain runs over there."""

    #: It is renamed to ``NAME.moved-MIGRATION``.
    KEEP = "keep"
    DELETE = "delete"


def _consistent(options: dict[str, Any]) -> dict[str, Any]:
    mirror = options.get("placement") == Placement.MIRROR
    if mirror and options.get("readonly"):
        raise vol.Invalid("a read-only disk cannot be mirrored; expected shared", ["placement"])
    if options.get("verify") and not mirror:
        raise vol.Invalid("only a mirrored disk can be compared (placement: mirror)", ["verify"])
    if "after" in options and not mirror:
        raise vol.Invalid("only a mirrored disk leaves an image behind", ["after"])
    return options


SCHEMA = vol.All(
    {
        vol.Required("source"): path,
        "placement": vol.In([p.value for p in Placement]),
        "format": vol.In([f.value for f in Format]),
        "cache": vol.In([c.value for c in Cache]),
        "readonly": bool,
        "verify": bool,
        "after": vol.In([a.value for a in After]),
    },
    _consistent,
)

HOST_SCHEMA = {"directories": {path: path}}


@dataclasses.dataclass(frozen=True)
class Options:
    """One disk's validated options; ``said_format`` tells that the file names the format."""

    source: str
    placement: Placement
    format: Format
    said_format: bool
    cache: Cache
    readonly: bool
    verify: bool
    after: After

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Options:
        """Fill in what the file leaves out: a local disk, not cached by the host."""
        source = str(options["source"])
        said = options.get("format")
        return cls(
            source=source,
            placement=Placement(options.get("placement", Placement.LOCAL)),
            format=Format(said) if said else Format.of_name(source),
            said_format=said is not None,
            cache=Cache(options.get("cache", Cache.NONE)),
            readonly=bool(options.get("readonly", False)),
            verify=bool(options.get("verify", False)),
            after=After(options.get("after", After.KEEP)),
        )

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
    #: On each host's own storage; the engine copies it, and every write, while the guest runs.
    MIRROR = "mirror"
    #: On each host's own storage; copied as a file while the guest runs, and once more what changed
    #: while it stands still: for engines that cannot mirror.
    COPY = "copy"
    #: On this host only; the domain does not move.
    LOCAL = "local"

    @property
    def travels(self) -> bool:
        """Whether the image itself goes to the other host."""
        return self in (Placement.MIRROR, Placement.COPY)


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
    """What becomes of the source's image once the domain runs over there on its copy."""

    #: It is renamed to ``NAME.moved-MIGRATION``.
    KEEP = "keep"
    DELETE = "delete"


def _consistent(options: dict[str, Any]) -> dict[str, Any]:
    placement = Placement(options.get("placement", Placement.LOCAL))
    if placement is Placement.MIRROR and options.get("readonly"):
        raise vol.Invalid(
            "a read-only disk cannot be mirrored; expected copy or shared", ["placement"]
        )
    if placement is Placement.COPY and Options.of(options).format is not Format.RAW:
        raise vol.Invalid("only a raw image can be copied so; expected mirror", ["placement"])
    if "verify" in options and placement is not Placement.MIRROR:
        raise vol.Invalid("only a mirror has the choice (a copy is always compared)", ["verify"])
    if "after" in options and not placement.travels:
        raise vol.Invalid("only a disk that is copied leaves an image behind", ["after"])
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

HOST_SCHEMA = {"directories": {path: path}, "address": vol.All(str, vol.Length(min=1))}


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

    @property
    def compares(self) -> bool:
        """Whether both ends read the disk and compare it while the domain stands still."""
        return self.verify or self.placement is Placement.COPY

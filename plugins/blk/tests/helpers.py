"""Hosts, with the two ends of a move, for tests of the disk driver."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from domwarden.contract import DeviceEntry, End, Host
from domwarden.testing import sides
from domwarden_blk import Blk


class Side(sides.Side):
    """One end of a move of one disk."""

    def __init__(self, end: End, host: Host, options: dict[str, Any], **more: Any) -> None:
        super().__init__(end, host, Blk, DeviceEntry("root", "blk", options), **more)


def host(directory: Path, name: str, **blk: Any) -> Host:
    state = directory / f"state-{name}"
    (state / "domains" / "web1").mkdir(parents=True, exist_ok=True)
    return Host(name, state, {"blk": blk} if blk else {})

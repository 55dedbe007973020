"""The world-wide name of a block device, which is the same on every host that sees it."""

from __future__ import annotations

import os
from pathlib import Path

#: Below /sys/dev/block/MAJOR:MINOR, in order: SCSI and NVMe name themselves, device-mapper is named
#: by LVM or multipath.  A serial number alone is no world-wide name.
_WHERE = ("wwid", "device/wwid", "dm/uuid")


def world_wide_name(number: int, *, sysfs: Path = Path("/sys")) -> str:
    """Return a block device's WWN, with the partition's number behind ``#``; empty if it has none.

    ``number`` is ``st_rdev``.
    """
    device = (sysfs / "dev/block" / f"{os.major(number)}:{os.minor(number)}").resolve()
    partition = _text(device / "partition")
    whole = device.parent if partition else device
    name = next(filter(None, (_text(whole / place) for place in _WHERE)), "")
    return f"{name}#{partition}" if name and partition else name


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""

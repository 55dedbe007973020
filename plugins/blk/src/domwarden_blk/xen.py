"""A disk in an xl configuration."""

from __future__ import annotations

import string
from pathlib import Path

from domwarden.contract import Domain, PermanentError
from domwarden_blk.options import Options


def xen_disk(domain: Domain, options: Options, image: Path) -> dict[str, str]:
    """Return the device's specification (xl-disk-configuration(5)); raises PermanentError.

    The guest's name of a disk, and so its number on the wire, follows from the order of the file's
    disks: it must not change in a move.
    """
    disks = [entry.id for entry in domain.definition.devices if entry.driver == "blk"]
    place = disks.index(domain.device)
    if place >= len(string.ascii_lowercase):
        raise PermanentError(f"disk {domain.device}: more than {len(string.ascii_lowercase)} disks")
    return {
        "format": str(options.format),
        "vdev": f"xvd{string.ascii_lowercase[place]}",
        "access": "ro" if options.readonly else "rw",
        # last: xl takes the rest of the line for the path
        "target": str(image),
    }

"""A disk in an xl configuration, and the path under which it stays there.

xl makes a domain that reboots, or whose watchdog expired, again from the configuration it came
with.  An image that arrives gets its own name only when the domain runs; so xl is given a link in
the domain's directory that is pointed there then.
"""

from __future__ import annotations

import asyncio
import string
from pathlib import Path

from domwarden.contract import Domain, JobContext, PermanentError
from domwarden_blk.options import Options


def xen_disk(domain: Domain, options: Options, image: Path) -> dict[str, str]:
    """Return the device's specification (xl-disk-configuration(5)); raises PermanentError.

    The guest's name of a disk, and so its number on the wire, follows from the order of the file's
    disks: it must not change in a move.
    """
    disks = [entry.id for entry in domain.definition.devices if entry.driver == "blk"]
    target = link_of(domain) if is_linked(domain, options) else image
    place = disks.index(domain.device)
    if place >= len(string.ascii_lowercase):
        raise PermanentError(f"disk {domain.device}: more than {len(string.ascii_lowercase)} disks")
    return {
        "format": str(options.format),
        "vdev": f"xvd{string.ascii_lowercase[place]}",
        "access": "ro" if options.readonly else "rw",
        # last: xl takes the rest of the line for the path
        "target": str(target),
    }


def is_linked(domain: Domain, options: Options) -> bool:
    """Say whether xl gets a link instead of the image's own path."""
    return domain.definition.engine == "xen" and options.placement.travels


def link_of(domain: Domain) -> Path:
    """Return the link's path, the same as long as the domain is on this host."""
    return domain.directory / f"{domain.device}.disk"


def point(domain: Domain, image: Path) -> None:
    """Point the link to an image, in one step."""
    link = link_of(domain)
    link.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = link.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(image)
    fresh.replace(link)


async def unlink(domain: Domain, _context: JobContext) -> None:
    """Take the link away; idempotent."""
    await asyncio.to_thread(link_of(domain).unlink, missing_ok=True)

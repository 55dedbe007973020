"""What must be true of a disk before its hypervisor's process exists."""

from __future__ import annotations

import asyncio
from pathlib import Path

from domwarden.contract import Domain, End, JobContext, Movement, PermanentError
from domwarden_blk import xen
from domwarden_blk.image import Format, Image, look
from domwarden_blk.names import leftovers, migration_of, on_host, partial
from domwarden_blk.options import Options, Placement
from domwarden_blk.target import make_target


def arrives(domain: Domain, options: Options) -> bool:
    """Say whether this end's image is the target of a mirror or a copy."""
    return (
        options.placement.travels
        and domain.end is End.DESTINATION
        and domain.movement is Movement.MIGRATE
    )


def image_of(domain: Domain, options: Options) -> Path:
    """Return the image that the domain's process on this host opens."""
    image = on_host(options.source, domain.host)
    return partial(image, migration_of(domain)) if arrives(domain, options) else image


def is_node(path: Path) -> bool:
    """Say whether a path names a device: under /dev, which needs no look at the file system."""
    return path.is_relative_to("/dev") and not path.is_relative_to("/dev/shm")


async def open_disk(domain: Domain, options: Options, _context: JobContext) -> None:
    """Check the image, or make the mirror's target; raises PermanentError."""
    image = image_of(domain, options)
    if arrives(domain, options):
        size_bytes = (domain.ticket or {}).get("size_bytes")
        if not isinstance(size_bytes, int):
            raise PermanentError("the source did not say how large its disk is")
        await make_target(image, options.format, size_bytes)
    else:
        await asyncio.to_thread(_check, domain, options, image)
    if xen.is_linked(domain, options):
        await asyncio.to_thread(xen.point, domain, image)


def _check(domain: Domain, options: Options, path: Path) -> None:
    if domain.definition.engine == "embedded" and options.format is not Format.RAW:
        raise PermanentError(
            f"{path} is {options.format}", hint="the embedded engine reads raw images only"
        )
    if not path.exists():
        raise PermanentError(f"there is no image {path}", hint=_whereabouts(domain, path))
    image: Image = look(path, options.format, said=options.said_format)
    if image.is_device != is_node(path):
        raise PermanentError(f"{path} is not what its place says", hint="name devices under /dev")
    if image.is_device and options.placement is not Placement.SHARED:
        raise PermanentError(
            f"{path} is a device of this host, not an image",
            hint="declare placement: shared if every host of the domain sees it",
        )
    if image.backing and not image.backing_format:
        raise PermanentError(
            f"{path} does not say the format of its backing file, and guessing it is unsafe",
            hint=f"qemu-img rebase -u -b '{image.backing}' -F FORMAT '{path}'",
        )


def _whereabouts(domain: Domain, path: Path) -> str:
    """Say what became of an image that is not under its name."""
    if arrived := leftovers(path):
        return (
            f"{arrived[0].name} beside it came by a migration that was not settled:"
            f" domwarden recover {domain.name}"
        )
    try:
        moved = sorted(path.parent.glob(f"{_escaped(path.name)}.moved-*"))
    except OSError:
        moved = []
    if moved:
        return f"the domain moved away with its disk; what it left is {moved[-1].name}"
    return "create it, or correct the source"


def _escaped(name: str) -> str:
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)

"""The jobs of a disk that both hosts see: prove that they do."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path
from typing import Any

from domwarden.contract import Domain, JobContext, PermanentError, Refusal
from domwarden_blk import names
from domwarden_blk.files import create, remove
from domwarden_blk.image import Image, look
from domwarden_blk.options import Options
from domwarden_blk.wwn import world_wide_name


class Shared:
    """One shared disk in one move.

    Equal names, device numbers or inodes prove nothing across hosts.  For a file the destination
    writes a probe of random content beside the image, which the source must find beside its own;
    for a block device both must read the same world-wide name from the hardware.
    """

    def __init__(self, domain: Domain, options: Options, *, sysfs: Path = Path("/sys")) -> None:
        self._domain = domain
        self._options = options
        self._sysfs = sysfs

    async def check_source(self, _context: JobContext) -> dict[str, Any] | list[Refusal]:
        """Refuse what two hosts cannot share."""
        image = await self._look()
        if isinstance(image, Refusal):
            return [image]
        refusals = self._cache() + self._parts(image)
        wwn = world_wide_name(image.number, sysfs=self._sysfs) if image.is_device else ""
        if image.is_device and not wwn:
            refusals.append(_nameless(image))
        return refusals or {
            "placement": "shared",
            "name": image.path.resolve().name,
            "device": image.is_device,
            "size_bytes": image.size_bytes,
            "wwn": wwn,
        }

    async def check_destination(self, _context: JobContext) -> dict[str, Any] | list[Refusal]:
        """Refuse an image that cannot be the source's."""
        image = await self._look()
        if isinstance(image, Refusal):
            return [image]
        source = self._domain.ticket
        if source is None:
            return {}  # the source refuses by itself
        here = {
            "name": image.path.resolve().name,
            "device": image.is_device,
            "size_bytes": image.size_bytes,
            "wwn": world_wide_name(image.number, sysfs=self._sysfs) if image.is_device else "",
        }
        if image.is_device:
            # Each host may call the same device by another name.
            here["name"] = source.get("name")
        wrong = sorted(key for key, value in here.items() if source.get(key) != value)
        if not wrong:
            return {"placement": "shared"}
        said = ", ".join(f"{key} {here[key]!r}, not {source.get(key)!r}" for key in wrong)
        return [
            Refusal(
                "not-the-same-image",
                f"{image.path} is not what the source has: {said}",
                "mount or map the same storage on both hosts, or use placement: mirror",
            )
        ]

    async def prepare_destination(self, _context: JobContext) -> dict[str, Any] | None:
        """Write the probe."""
        if (self._domain.ticket or {}).get("device"):
            return None
        token = secrets.token_hex(16)
        probe = self._probe()
        await asyncio.to_thread(remove, probe)
        await asyncio.to_thread(create, probe, token.encode())
        return {"probe": probe.name, "token": token}

    async def prepare_source(self, _context: JobContext) -> None:
        """Find the probe; raises PermanentError."""
        ticket = self._domain.ticket or {}
        if (self._domain.given or {}).get("device"):
            return
        probe = self._probe()
        try:
            found = await asyncio.to_thread(probe.read_text, encoding="ascii", errors="replace")
        except OSError:
            found = ""
        if not ticket.get("token") or found != ticket["token"]:
            raise PermanentError(
                f"{probe.parent} here and on {self._domain.peer or 'the other host'} are two"
                " directories, although they hold images of one name",
                hint="mount the same storage on both hosts, or use placement: mirror",
            )

    async def clean(self, _context: JobContext) -> None:
        """Remove the probe; either end may, its name is this migration's own."""
        await asyncio.to_thread(lambda: remove(self._probe()))

    async def _look(self) -> Image | Refusal:
        path = names.on_host(self._options.source, self._domain.host)
        try:
            return await asyncio.to_thread(
                look, path, self._options.format, said=self._options.said_format
            )
        except PermanentError as error:
            return Refusal("no-image", str(error), "make the shared storage available here")

    def _cache(self) -> list[Refusal]:
        if self._options.cache.direct or self._options.readonly:
            return []
        return [
            Refusal(
                "cache",
                f"cache: {self._options.cache} keeps writes in one host's memory, where the other"
                " does not see them",
                "use cache: none or cache: directsync, and start the domain again",
            )
        ]

    def _parts(self, image: Image) -> list[Refusal]:
        what = "a backing file" if image.backing else "its data in another file"
        if not image.backing and not image.external_data:
            return []
        return [
            Refusal(
                "image-parts",
                f"{image.path} has {what}, which is not proven to be shared",
                "flatten it (qemu-img convert), or use placement: mirror",
            )
        ]

    def _probe(self) -> Path:
        image = names.on_host(self._options.source, self._domain.host).resolve()
        return names.probe(image, names.migration_of(self._domain))


def _nameless(image: Image) -> Refusal:
    return Refusal(
        "no-wwn",
        f"{image.path} has no world-wide name by which both hosts could know it",
        "use a device with a WWID (SCSI, NVMe, LVM, multipath) or an image on shared storage",
    )

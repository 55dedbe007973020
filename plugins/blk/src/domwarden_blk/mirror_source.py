"""The jobs of a disk that is mirrored or copied, on its source."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from domwarden.contract import Domain, JobContext, PermanentError, Refusal
from domwarden_blk import names
from domwarden_blk.digest import expected_seconds
from domwarden_blk.ends import SocketAddress, present, source_of
from domwarden_blk.files import publish, remove
from domwarden_blk.image import Image, look
from domwarden_blk.options import After, Options


class MirrorSourceJobs:
    """One disk that is mirrored or copied away while its guest runs."""

    def __init__(self, domain: Domain, options: Options) -> None:
        self._domain = domain
        self._options = options
        image = names.on_host(options.source, domain.host)
        self._end = source_of(domain, image, options.placement)

    @property
    def _image(self) -> Path:
        return names.on_host(self._options.source, self._domain.host).resolve()

    async def test(self, _context: JobContext) -> dict[str, Any] | list[Refusal]:
        """Refuse what cannot be mirrored; tell the destination what it will get."""
        try:
            image = await asyncio.to_thread(
                look, self._image, self._options.format, said=self._options.said_format
            )
        except PermanentError as error:
            return [Refusal("no-image", str(error), "make the image readable here")]
        refusals = self._refusals(image)
        if refusals:
            return refusals
        ticket: dict[str, Any] = {
            "placement": str(self._options.placement),
            "format": str(self._options.format),
            "size_bytes": image.size_bytes,
            "allocated_bytes": image.allocated_bytes,
            "identity": image.identity,
            "streams": self._domain.host.streams,
        }
        if self._options.compares:
            estimate = await asyncio.to_thread(expected_seconds, image.path, image.size_bytes)
            ticket["blackout_seconds"] = round(estimate, 3)
        return ticket

    async def prepare(self, context: JobContext) -> None:
        """Mirror until only late writes are missing."""
        await present(self._end).copy(self._address(), context)

    async def start(self, context: JobContext) -> None:
        """Let the late writes go."""
        await present(self._end).settle(self._address(), context)

    async def sync(self, context: JobContext) -> dict[str, Any]:
        """See the mirror complete; read the disk for the comparison."""
        await present(self._end).settled()
        ticket = {**(self._domain.given or {}), "mirrored": True}
        if self._options.compares:
            ticket["digests"] = await present(self._end).digests(context)
        return ticket

    async def recover(self, _context: JobContext) -> None:
        """Stop mirroring; a process that is gone took its mirror along."""
        if self._end is not None:
            await self._end.undo()
        await asyncio.to_thread(remove, names.sums(self._domain))

    async def finish(self, _context: JobContext) -> None:
        """Put the image out of the way, now that the destination runs on its own.

        The source was released only because the destination's SYNC, which makes its image durable,
        had succeeded: that *ready* is the word without which nothing is removed.
        """
        await asyncio.to_thread(self._put_away)
        await asyncio.to_thread(remove, names.sums(self._domain))

    def _put_away(self) -> None:
        image = self._image
        kept = names.kept(image, names.migration_of(self._domain))
        if not image.exists() or kept.exists():
            return  # an earlier call did it
        seen = look(image, self._options.format)
        if seen.identity != (self._domain.given or {}).get("identity"):
            raise PermanentError(f"{image} is not the image that was mirrored: it stays")
        if self._options.after is After.DELETE:
            remove(image)
        else:
            publish(image, kept)

    def _refusals(self, image: Image) -> list[Refusal]:
        found = []
        if self._end is None:
            found.append(
                Refusal(
                    "no-mirror",
                    f"engine {self._domain.definition.engine} does no {self._options.placement}",
                    "use another placement: copy, mirror, or shared for shared storage",
                )
            )
        if image.is_device:
            found.append(
                Refusal(
                    "device-node",
                    f"{image.path} is a device of this host",
                    "use placement: shared if both hosts see it",
                )
            )
        if image.encrypted:
            found.append(
                Refusal(
                    "encrypted",
                    f"{image.path} is encrypted, and its copy would not be",
                    "encrypt inside the guest, or use placement: shared",
                )
            )
        return found

    def _address(self) -> SocketAddress:
        address = (self._domain.ticket or {}).get("address")
        if not isinstance(address, dict):
            raise PermanentError("the destination did not say where it takes the disk")
        return address

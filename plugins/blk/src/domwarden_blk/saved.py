"""The jobs of a disk whose domain is saved to a file: the image stays, and must still be there."""

from __future__ import annotations

import asyncio
from typing import Any

from domwarden.contract import Domain, JobContext, PermanentError, Refusal
from domwarden_blk import names
from domwarden_blk.image import Image, look
from domwarden_blk.options import Options


class Saved:
    """One disk across a save and its restore on a host that sees the same image."""

    def __init__(self, domain: Domain, options: Options) -> None:
        self._domain = domain
        self._options = options

    async def check_save(self, _context: JobContext) -> dict[str, Any] | list[Refusal]:
        """Remember which image belongs to the save."""
        image = await self._look()
        return [image] if isinstance(image, Refusal) else _facts(image)

    async def check_restore(self, _context: JobContext) -> dict[str, Any] | list[Refusal]:
        """Refuse another image: the guest's memory would not fit its disk."""
        image = await self._look()
        if isinstance(image, Refusal):
            return [image]
        saved = self._domain.ticket or {}
        if saved.get("image") != _facts(image)["image"]:
            return [
                Refusal(
                    "another-image",
                    f"{image.path} is not the image the domain was saved with",
                    "put the image back (a copy is another image), or start the domain afresh",
                )
            ]
        return _facts(image)

    async def _look(self) -> Image | Refusal:
        path = names.on_host(self._options.source, self._domain.host)
        try:
            return await asyncio.to_thread(
                look, path, self._options.format, said=self._options.said_format
            )
        except PermanentError as error:
            return Refusal("no-image", str(error), "put the image back where it was")


def _facts(image: Image) -> dict[str, Any]:
    return {"image": [image.inode, image.number, image.size_bytes]}

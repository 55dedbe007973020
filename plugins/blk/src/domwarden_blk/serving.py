"""Serving an arriving image to its source from this process."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from domwarden_blk.nbd_server import NbdServer
from domwarden_blk.travel import Secured

#: What is served now, with the open file, by image; its process's end also ends the serving.
_served: dict[Path, tuple[NbdServer, int]] = {}


async def serve(
    image: Path, export: str, socket: Path, address: str, secured: Secured | None
) -> Mapping[str, Any]:
    """Serve an image on a Unix socket, or on TCP at this host's ``address``; return where.

    An image that was served already is served anew.
    """
    await stop_serving(image)
    handle = os.open(image, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    server = NbdServer(handle, export, secured)
    _served[image] = server, handle
    try:
        if not address:
            await server.listen(socket)
            return {"type": "unix", "path": str(socket)}
        port = await server.listen_tcp(address)
    except BaseException:
        await stop_serving(image)
        raise
    return {"type": "inet", "host": address, "port": port}


async def stop_serving(image: Path) -> None:
    """Let nobody write the image any more; idempotent."""
    server, handle = _served.pop(image, (None, -1))
    if server is not None:
        server.close()
        await server.wait_closed()
        os.close(handle)

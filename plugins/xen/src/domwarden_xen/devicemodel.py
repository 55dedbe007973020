"""What the device model of an hvm guest says over QMP: an emulated watchdog card expired.

Xen knows of no such card, and QEMU cannot stop or reset processors that are Xen's: a guest that
hangs without touching a device goes on hanging, whatever ``-action watchdog=`` says.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

#: Xen's directory of sockets (XEN_RUN_DIR).
DIRECTORY = Path("/var/run/xen")
#: QEMU answers at once, or is stopped.
ANSWER_SECONDS = 10.0
#: A device model ends with its domain, and another one comes when that is made again.
RECONNECT_SECONDS = 1.0


def monitor(uuid: str) -> Path:
    """Return the socket of the monitor that is ours: libxl has one of its own."""
    return DIRECTORY / f"domwarden-{uuid}.qmp"


def arguments(uuid: str) -> list[str]:
    """Return the arguments by which a device model in dom0 listens there."""
    return ["-qmp", f"unix:{monitor(uuid)},server=on,wait=off"]


@contextlib.asynccontextmanager
async def listening(socket: Path, fired: Callable[[], None]) -> AsyncIterator[None]:
    """Call ``fired`` at each expiry, as long as the context lasts.

    QEMU talks to one at a time; whoever else connects hears nothing until that one has gone.
    """
    task = asyncio.create_task(_listen_always(socket, fired), name="xen/device-model")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _listen_always(socket: Path, fired: Callable[[], None]) -> None:
    while True:
        # None there, or it has just ended, or it does not speak QMP: there may be one later.
        with contextlib.suppress(OSError, ValueError, TimeoutError):
            await _listen(socket, fired)
        await asyncio.sleep(RECONNECT_SECONDS)


async def _listen(socket: Path, fired: Callable[[], None]) -> None:
    async with asyncio.timeout(ANSWER_SECONDS):
        reader, writer = await asyncio.open_unix_connection(socket)
    try:
        writer.write(b'{"execute": "qmp_capabilities"}\n')
        while line := await reader.readline():
            if json.loads(line).get("event") == "WATCHDOG":
                fired()
    finally:
        writer.close()

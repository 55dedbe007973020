"""Waiting until there may be something to see: xenstore says so, a file grew, or time passed."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Hashable

#: Xen tells xenstore, and xenstore tells all who watch this, when a domain ended or suspended.
_RELEASES = ("xenstore-watch", "@releaseDomain")
#: How often files are looked at; a stat costs microseconds.
GLANCE_SECONDS = 0.2
#: How often Xen itself is asked (by ``xl list``): without xenstore's word, then with it.
LOOK_SECONDS = 1.0
RARE_LOOK_SECONDS = 10.0


class Waker:
    """Returns from ``wait`` when a look is due."""

    def __init__(self, signs: Callable[[], Hashable]) -> None:
        self._signs = signs
        self._seen = signs()
        self._releases = 0
        self._heard = 0
        self._watching: asyncio.subprocess.Process | None = None

    async def wait(self) -> None:
        """Wait until the next look."""
        alive = self._watching is not None and self._watching.returncode is None
        deadline = time.monotonic() + (RARE_LOOK_SECONDS if alive else LOOK_SECONDS)
        while time.monotonic() < deadline:
            signs = self._signs()
            if signs != self._seen or self._releases != self._heard:
                self._seen, self._heard = signs, self._releases
                return
            await asyncio.sleep(GLANCE_SECONDS)

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Listen to xenstore as long as the context lasts, if there is one."""
        self._watching = process = await _watching()
        count = asyncio.create_task(self._count(process), name="xen/releases")
        try:
            yield
        finally:
            if process is not None and process.returncode is None:
                process.kill()
            count.cancel()
            await asyncio.gather(count, return_exceptions=True)
            if process is not None:
                await process.wait()

    async def _count(self, process: asyncio.subprocess.Process | None) -> None:
        if process is not None and process.stdout is not None:
            while await process.stdout.readline():
                self._releases += 1


async def _watching() -> asyncio.subprocess.Process | None:
    """Start the watch; None where it is not installed, or not for us: looks are made more often."""
    try:
        return await asyncio.create_subprocess_exec(
            *_RELEASES,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError:
        return None

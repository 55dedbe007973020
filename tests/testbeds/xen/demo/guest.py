"""The guest of the demonstration, on a real Xen."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack

from domwarden.cli.demo.guest import LinuxGuest
from domwarden.cli.demo.place import DOMAIN
from domwarden.contract import DomwardenError
from domwarden.testing.console import Console

from .. import guests
from ..channel import Dom0Error
from ..host import Host

#: How long one console is listened to before it is looked for again.
_LOOK_SECONDS = 30.0


class XenGuest(LinuxGuest):
    """The test guest on its console in xenconsoled, which is another one after each reset."""

    DISK = "xvda"

    def __init__(self, host: Host, stack: AsyncExitStack) -> None:
        self._host = host
        self._stack = stack
        self._domids: list[str] = []
        self._console: Console

    async def ready(self, timeout_seconds: float) -> None:
        """Look for the console until the guest answers on it."""
        deadline = time.monotonic() + timeout_seconds
        while True:
            await self._stack.aclose()
            console = guests.console(self._host, DOMAIN, timeout_seconds=_LOOK_SECONDS)
            try:
                domid = (await self._host.output("xl", "domid", DOMAIN)).strip()
                self._console = await self._stack.enter_async_context(console)
            except (Dom0Error, TimeoutError, ConnectionError) as error:
                if time.monotonic() > deadline:
                    raise DomwardenError(f"{DOMAIN} does not answer: {error}") from error
                await asyncio.sleep(0.5)  # it may be between two domids
                continue
            self._domids.append(domid)
            return

    async def why_reset(self) -> str:
        """Compare the domids, and ask the guest how old it is."""
        before, now = self._domids[-2:]
        if before == now:
            raise DomwardenError(f"{DOMAIN} is still domain {now}")
        up = await self._console.command("uptime")
        return f"Xen made domain {before} anew as domain {now}, {float(up):.1f} s ago"

    async def work(self) -> str:
        """Write, and count on the disk."""
        await self._console.command(f"write {self.DISK} {self._OFFSET} kept")
        await self._console.command(f"count start {self.DISK}")
        return "counts, and writes to its disk"

    async def facts(self) -> dict[str, str]:
        """Ask for what was given to it."""
        return {
            "MAC": await self._console.command("mac"),
            "disk": await self._console.command(f"read {self.DISK} {self._OFFSET} 4"),
        }

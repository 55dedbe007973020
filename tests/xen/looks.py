"""One host by itself: its domwarden, what Xen shows there, and what its journal tells."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from ..testbeds.xen import guests
from ..testbeds.xen.host import Host
from ..testbeds.xen.wardens import HOST_FILE, Warden

#: From a hang to all that follows it, on a machine that has other work too.
LIMIT_SECONDS = 400.0
_numbers = itertools.count(1)


@asynccontextmanager
async def alone(host: Host) -> AsyncIterator[Warden]:
    """Enter the warden of a host that has no peers and has never seen a domain.

    What it left running is ended with the context; supervisors end with their domains.
    """
    folder = f"/var/test/alone/{next(_numbers)}"
    await host.output("rm", "-rf", folder)
    await host.output("mkdir", "-p", folder)
    await host.put(HOST_FILE, f"host: {host.name}\nstate: {folder}/state\n".encode())
    try:
        yield Warden(host, host, folder)
    finally:
        await guests.destroy_all(host)


async def row(host: Host, name: str) -> tuple[int, str]:
    """Return the domain's number and its state's letters; (0, "") while Xen has none."""
    for line in (await host.output("xl", "list")).splitlines()[1:]:
        words = line.split()
        if words[0] == name:
            return int(words[1]), words[4]
    return 0, ""


async def wait_row(host: Host, name: str, wanted: Callable[[int, str], bool]) -> int:
    """Wait until Xen shows the domain so; return its number. Raises TimeoutError."""
    async with asyncio.timeout(LIMIT_SECONDS):
        while not wanted(*(seen := await row(host, name))):  # noqa: ASYNC110 - another machine
            await asyncio.sleep(1)
    return seen[0]


async def wait_made_again(host: Host, name: str, before: int) -> int:
    """Wait until the domain runs with a higher number; return it. Raises TimeoutError."""
    return await wait_row(host, name, lambda domid, flags: domid > before and "p" not in flags)


async def history(warden: Warden, name: str) -> list[dict[str, Any]]:
    """Return the expiries in the journal, oldest first."""
    told = (await warden.run("watch", name, "--once", "--json")).check()
    return [json.loads(line) for line in told.splitlines()]

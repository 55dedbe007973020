"""A domain with a disk, a card, a TPM's tool, a licence and a watchdog, on two hosts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from ..testbeds.xen import guests
from ..testbeds.xen.bed import Bed
from ..testbeds.xen.channel import Dom0Error, Done
from ..testbeds.xen.wardens import LICENCE, LICENCES, Warden, copies, wardens

NAME = "web1"
DISK = "/var/test/web1.img"
DISK_BYTES = 2 << 20
MAC = "00:16:3e:77:00:01"
#: What the guest asks of its watchdog; nothing here may take the guest's processor for so long.
WATCHDOG_SECONDS = 300
#: The tool of the TPM: it writes down how it was called, waits as long as there is a file `hold`
#: and its step, fails where there is one `fail` and its step, and brings the state over at the end.
TOOL = "/var/test/tool"
CALLS = "/var/test/tool.calls"
STATE, MOVED_STATE = "/var/test/tool.state", "/shared/tpm.state"
_TOOL = f"""#!/bin/sh
echo "$*" >> {CALLS}
case "$*" in *-recover) exit 0;; esac
while [ -e /var/test/hold-$4 ]; do sleep 1; done
[ ! -e /var/test/fail-$4 ] || {{ echo "Error: told to fail at step $4"; exit 1; }}
[ $4 != 3 ] || cp {STATE} {MOVED_STATE}
"""
#: More than a test waits until it takes the file `hold` away.
_TOOL_TIMEOUT = "9min"
LOOK_SECONDS = 300.0


@dataclass
class Move:
    """Both wardens, and the domain that is to move from the first to the second."""

    bed: Bed
    here: Warden
    there: Warden

    async def start(self) -> float:
        """Start the domain and see its guest guarded; returns the guest's own uptime."""
        await self.here.start(
            NAME,
            watchdog={"driver": "xen_wdt", "timeout": f"{WATCHDOG_SECONDS}s", "action": "reset"},
            devices={
                "root": {"driver": "blk", "source": DISK, "format": "raw", "placement": "copy"},
                "eth0": {"driver": "net", "bridge": guests.BRIDGE, "mac": MAC},
                "tpm0": {"driver": "tpm", "move": "tool"},
                "cad": {"driver": "licence", "licence": LICENCE},
            },
        )
        async with guests.console(self.here.host, NAME) as console:
            await console.command(f"watchdog start {WATCHDOG_SECONDS}")
            await console.command("write xvda 1000 from the source")
            return float(await console.command("uptime"))

    async def migrate(self, crash_at: str = "") -> Done:
        """Move it, whatever comes of it."""
        words = ("migrate", NAME, "--to", self.there.name, "--timeline")
        return await self.here.run(*words, crash_at=crash_at)

    async def goes_on(self, where: Warden, since: float) -> float:
        """Check by Xen and by the guest that its one copy runs there; returns its uptime.

        Its licence is there, too.
        """
        found = await copies(self.bed, NAME)
        assert [(host, name) for host, name, _ in found] == [(where.name, NAME)], found
        async with guests.console(where.host, NAME) as console:
            uptime = float(await console.command("uptime"))
        assert uptime > since
        assert await self.licences() == [f"{LICENCE}.held.{where.name}.{NAME}"]
        return uptime

    async def settled(self, where: Warden, since: float) -> float:
        """Recover on both hosts until nothing is left to settle, then check as above."""
        async with asyncio.timeout(LOOK_SECONDS * 2):
            while any([(await each.run("recover")).status for each in (self.here, self.there)]):
                pass
        return await self.goes_on(where, since)

    async def licences(self) -> list[str]:
        """Return the names of the files that say who has the licence."""
        return (await self.here.host.output("ls", LICENCES)).split()

    async def calls(self, where: Warden) -> str:
        """Return how the TPM's tool was called on a host, a line each."""
        return (await where.host.run(["cat", CALLS])).stdout

    async def fail(self, where: Warden, step: int, *, yes: bool = True) -> None:
        """Have the tool fail at a step from now on, or no more."""
        await _flag(where, f"fail-{step}", yes=yes)

    async def hold(self, where: Warden, step: int, *, yes: bool = True) -> None:
        """Have the tool wait at a step, or wait no longer."""
        await _flag(where, f"hold-{step}", yes=yes)

    async def reached(self, where: Warden, step: int) -> None:
        """Wait until the tool was called for a step."""
        async with asyncio.timeout(LOOK_SECONDS):
            while f"-step {step} " not in await self.calls(where):  # noqa: ASYNC110 - another machine's doing
                await asyncio.sleep(1)


async def _flag(where: Warden, name: str, *, yes: bool) -> None:
    await where.host.output(*(("touch",) if yes else ("rm", "-f")), f"/var/test/{name}")


@asynccontextmanager
async def moving(bed: Bed, *, served: bool = False) -> AsyncIterator[Move]:
    """Enter two wardens with nothing started, and a disk on the first host only."""
    drivers = {"tpm": {"tool": [TOOL], "timeout": _TOOL_TIMEOUT}}
    async with wardens(bed, drivers, served=served, streams="tls" if served else "plain") as (
        here,
        there,
    ):
        for each in (here, there):
            await each.host.run(
                ["sh", "-c", "rm -rf /var/test/web1* /var/test/tool* /var/test/*-[0-3]"]
            )
            await each.host.put(TOOL, _TOOL.encode(), mode=0o755)
        await here.host.output("rm", "-f", MOVED_STATE)
        await here.host.put(STATE, b"secrets")
        await here.host.output("truncate", "-s", str(DISK_BYTES), DISK)
        move = Move(bed, here, there)
        try:
            yield move
        except (AssertionError, Dom0Error, TimeoutError):
            for each in (here, there):
                print(f"{each.name}'s peers: {await each.log()}")
            raise

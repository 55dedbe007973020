"""The guard at work in dom0, and the two watchdogs that it kicks."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from ..testbeds.xen.host import Host

FILE = "/var/test/guard.yaml"
LOG = "/run/guard.log"
SOFTDOG = "/sys/class/watchdog/watchdog0"
#: Long enough for a machine that is emulated beside others, short enough to wait for.
TIMEOUT_SECONDS = 20
#: A Python that starts, on a machine with other work.
START_SECONDS = 240.0
#: From the last kick to the end of QEMU.
RESET_SECONDS = TIMEOUT_SECONDS + 60.0


def settings(watchdogs: Sequence[str], **more: Any) -> bytes:
    """Return a guard file; JSON is YAML."""
    chosen = {name: {"required": True} for name in watchdogs}
    guard = {"interval": "4s", "timeout": f"{TIMEOUT_SECONDS}s", "watchdogs": chosen, **more}
    return json.dumps({"guard": guard}).encode()


@dataclass
class Guard:
    """A guard in a dom0, started by `guard`."""

    host: Host
    pid: int

    async def signal(self, name: str) -> None:
        """Send it a signal; it is a daemon, so nobody waits for its end here."""
        await self.host.output("kill", "-s", name, str(self.pid))

    async def ended(self) -> None:
        """Wait until it is gone."""
        async with asyncio.timeout(60):
            while (await self.host.run(["test", "-d", f"/proc/{self.pid}"])).status == 0:  # noqa: ASYNC110 - another machine's doing
                await asyncio.sleep(0.5)

    async def log(self) -> str:
        """Return what it said."""
        return (await self.host.get(LOG)).decode()

    async def says(self, words: str, *, timeout_seconds: float = 60.0) -> None:
        """Wait until it has said something."""
        try:
            async with asyncio.timeout(timeout_seconds):
                while words not in await self.log():  # noqa: ASYNC110 - another machine's doing
                    await asyncio.sleep(0.5)
        except TimeoutError:
            raise AssertionError(f"the guard never said {words!r}\n{await self.log()}") from None


async def start(host: Host, file: bytes, *, armed: int) -> Guard:
    """Start a guard and see it kick that many watchdogs."""
    await host.put(FILE, file)
    command = f"exec domwarden guard {FILE} >{LOG} 2>&1 </dev/null & echo $!"
    # A session of its own: it outlives the request that started it.
    await host.run(["rm", "-f", LOG, "/run/guard.pid"])
    await host.output("setsid", "-f", "sh", "-c", f"{{ {command}; }} > /run/guard.pid")
    async with asyncio.timeout(30):
        while (await host.run(["test", "-s", "/run/guard.pid"])).status != 0:  # noqa: ASYNC110 - another machine's doing
            await asyncio.sleep(0.2)
    pid = int(await host.get("/run/guard.pid"))
    guard = Guard(host, pid)
    try:
        async with asyncio.timeout(START_SECONDS):
            while (await guard.log()).count(": armed with") < armed:  # noqa: ASYNC110 - another machine's doing
                await asyncio.sleep(0.5)
    except TimeoutError:
        raise AssertionError(f"the guard does not guard\n{await guard.log()}") from None
    return guard


async def timers(host: Host) -> list[int]:
    """Return the seconds left of dom0's own timers, as Xen's debug key tells them."""
    await host.output("xl", "dmesg", "-c")
    await host.output("xl", "debug-keys", "q")
    text = await host.output("xl", "dmesg")
    assert "General information for domain 0:" in text
    dom0 = text.partition("General information for domain 0:")[2]
    dom0 = dom0.partition("General information for domain ")[0]
    found = re.findall(r"watchdog \d+ expires in (-?\d+) seconds", dom0)
    # It divides nanoseconds by 2**30 (Xen, common/keyhandler.c).
    return [round(int(left) * 2**30 / 1e9) for left in found]


async def softdog(host: Host) -> str:
    """Return what the kernel says of softdog: active, inactive, or absent."""
    done = await host.run(["cat", f"{SOFTDOG}/state"])
    return done.stdout.strip() if done.status == 0 else "absent"


async def lasts(host: Host, seconds: float) -> None:
    """See that the host stays up for so long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert host.alive(), f"{host.name} was reset\n{host.tail()}"
        await asyncio.sleep(0.5)


@asynccontextmanager
async def released(*hosts: Host) -> AsyncIterator[None]:
    """Leave no watchdog counting on a host that lives, whatever the test came to."""
    try:
        yield
    finally:
        for host in hosts:
            if host.alive():
                await host.run(["sh", "-c", _RELEASE])


_RELEASE = """
kill -KILL $(cat /run/guard.pid) 2>/dev/null
[ ! -e /dev/watchdog ] || echo -n V > /dev/watchdog
python3 - <<'END'
from domwarden_xen_wdt import Hypercall, UnknownTimer
with Hypercall() as call:
    for timer in (1, 2):
        try:
            call.disarm(timer)
        except UnknownTimer:
            pass
END
"""

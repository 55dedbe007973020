"""A guest hangs on real Xen: domwarden sees it, acts, and remembers."""

from __future__ import annotations

import pytest

from ..testbeds.xen import guests
from ..testbeds.xen.host import Host
from ..testbeds.xen.wardens import HOST_FILE, Warden
from .looks import LIMIT_SECONDS, alone, history, row, wait_made_again, wait_row

pytestmark = [pytest.mark.live, pytest.mark.xen]

SECONDS = 20

#: `pause` is no verb, so this asks the library.
PAUSE = f"""
import asyncio, sys
from pathlib import Path
from domwarden.config import load_host
from domwarden.contract import RefusedError
from domwarden.warden import Warden
async def main():
    async with Warden(load_host(Path("{HOST_FILE}"))) as warden:
        try:
            await warden.pause(sys.argv[1])
        except RefusedError as error:
            print(*(refusal.code for refusal in error.refusals))
asyncio.run(main())
"""


async def guard_and_hang(host: Host, name: str, way: str) -> None:
    """Let the guest arm its timer, and hang."""
    async with guests.console(host, name) as console:
        assert await console.command(f"watchdog start {SECONDS}") == (
            f"timeout {SECONDS} identity xen_wdt"
        )
        assert await console.command(f"hang {way}") == "hanging"


async def kill_monitor(host: Host, name: str) -> None:
    """Kill the process that ``xl create`` left to act on the domain's end."""
    for line in (await host.output("ps", "-o", "pid,args")).splitlines():
        pid, _, words = line.strip().partition(" ")
        if "xl create" in words and f"/{name}/" in words:
            await host.output("kill", "-9", pid)
            return
    raise AssertionError("xl left no monitor")


async def reset_then_left_for_a_person(warden: Warden) -> None:
    """Xl's monitor acts after the first expiry, domwarden after the second, and escalates."""
    host, name = warden.host, "web1"
    escalate = {"after": 2, "within": "1h", "action": "pause"}
    entry = {"driver": "xen_wdt", "timeout": f"{SECONDS}s", "action": "reset", "escalate": escalate}
    await warden.start(name, watchdog=entry)
    first, _ = await row(host, name)
    await guard_and_hang(host, name, "panic")
    second = await wait_made_again(host, name, first)
    await kill_monitor(host, name)
    await guard_and_hang(host, name, "irqs-off")
    await wait_row(host, name, lambda domid, flags: domid > second and "p" in flags)
    (status,) = await warden.json("status", name)
    assert (status["state"], status["expiries"]) == ("paused", 2)
    told = [
        (each["driver"], each["action"], each["detail"]) for each in await history(warden, name)
    ]
    assert told == [
        ("xen_wdt", "reset", f"Xen's watchdog of domain {domid} expired")
        for domid in (first, second)
    ]


async def pv_guest_lives_hangs_and_ends(warden: Warden) -> None:
    """A paravirtual guest is started, seen, kept from a deadly pause, guarded, and stopped."""
    host, name = warden.host, "web2"
    entry = {"driver": "xen_wdt", "timeout": f"{SECONDS}s", "action": "reset"}
    await warden.start(name, type="pv", watchdog=entry)
    first, _ = await row(host, name)
    async with guests.console(host, name) as console:
        await console.command(f"watchdog start {SECONDS}")
    (status,) = await warden.json("status", name)
    assert (status["state"], status["watchdog"]["armed"]) == ("running", "armed")
    assert 0 < status["watchdog"]["time_left_seconds"] < SECONDS + 2
    refused = await host.run(["python3", "-c", PAUSE, name], timeout_seconds=LIMIT_SECONDS)
    assert refused.check().strip() == "watchdog-too-short"
    async with guests.console(host, name) as console:
        assert await console.command("hang corrupt") == "hanging"
    await wait_made_again(host, name, first)
    async with guests.console(host, name) as console:
        assert await console.alive(timeout_seconds=60)
    (status,) = await warden.json("status", name)
    assert (status["state"], status["expiries"]) == ("running", 1)
    (await warden.run("stop", name)).check()
    assert await guests.names(host) == []


@pytest.mark.time_limit(900)
async def test_a_pvh_guest_is_reset_with_and_without_xls_monitor_and_escalated(host: Host) -> None:
    """It panics, then it stops interrupts; both expiries are in the history."""
    async with alone(host) as warden:
        await reset_then_left_for_a_person(warden)


@pytest.mark.time_limit(900)
async def test_a_pv_guest_lives_hangs_and_ends(host: Host) -> None:
    """Its kernel's memory is overwritten."""
    async with alone(host) as warden:
        await pv_guest_lives_hangs_and_ends(warden)

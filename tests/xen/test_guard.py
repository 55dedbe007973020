"""The guard in dom0, over Xen's own timer of dom0 and the kernel's softdog."""

from __future__ import annotations

import pytest

from ..testbeds.xen.host import Host
from .guarding import (
    RESET_SECONDS,
    TIMEOUT_SECONDS,
    lasts,
    released,
    settings,
    softdog,
    start,
    timers,
)

pytestmark = [pytest.mark.live, pytest.mark.xen]

FIRED = "Watchdog timer fired for domain 0"
SOFTDOG_FIRED = "Initiating system reboot"


@pytest.mark.time_limit(700)
async def test_a_guarded_host_lives_and_is_handed_over(host: Host) -> None:
    """Longer than both time-outs nothing happens; HUP, TERM and USR1 mean what they should."""
    async with released(host):
        await _live_and_hand_over(host)


async def _live_and_hand_over(host: Host) -> None:
    await host.output("modprobe", "softdog")
    guard = await start(host, settings(["xen", "linux"]), armed=2)
    await lasts(host, 2 * TIMEOUT_SECONDS)
    (left,) = await timers(host)
    assert 1 <= left <= TIMEOUT_SECONDS
    assert await softdog(host) == "active"
    assert "memory is not locked" not in await guard.log()
    assert "no realtime priority" not in await guard.log()
    scheduling = (await host.get(f"/proc/{guard.pid}/stat")).decode().rpartition(")")[2].split()
    assert scheduling[37:39] == ["1", "2"]  # rt_priority and policy: SCHED_RR
    assert "VmLck:\t       0 kB" not in (await host.get(f"/proc/{guard.pid}/status")).decode()

    await host.put("/var/test/guard.yaml", settings(["xen", "linux"], timeout="100s"))
    await guard.signal("HUP")
    await guard.says("the settings were read again")
    (left,) = await timers(host)
    assert TIMEOUT_SECONDS < left <= 100

    await guard.signal("TERM")
    await guard.ended()
    (left,) = await timers(host)
    assert 200 < left <= 300
    assert await softdog(host) == "inactive"

    # the next one goes on with the same timer of Xen's, and the one after a kill, too
    guard = await start(host, settings(["xen", "linux"], timeout="200s"), armed=2)
    (left,) = await timers(host)
    assert 100 < left <= 200
    await guard.signal("KILL")
    await guard.ended()
    assert await softdog(host) == "active"
    guard = await start(host, settings(["xen", "linux"]), armed=2)
    (left,) = await timers(host)
    assert left <= TIMEOUT_SECONDS
    await guard.signal("USR1")
    await guard.ended()
    assert await timers(host) == []
    assert await softdog(host) == "inactive"
    await lasts(host, TIMEOUT_SECONDS + 10)


@pytest.mark.time_limit(400)
async def test_an_unhealthy_host_is_reset_by_xen(host: Host) -> None:
    """A check fails, and its repair does not help."""
    async with released(host):
        await host.put("/var/test/check", b"#!/bin/sh\ntest ! -e /run/broken\n", mode=0o755)
        check = {"kind": "command", "run": ["/var/test/check"], "retries": 1}
        repair = {"run": ["sh", "-c", 'echo "$0" > /run/repaired; exit 1']}
        file = settings(["xen"], checks={"disk": check}, repair=repair)
        guard = await start(host, file, armed=1)
        await lasts(host, 5)
        await host.put("/run/broken", b"")
        await guard.says("the repair failed: status 1")
        assert await host.get("/run/repaired") == b"disk\n"
        await host.wait_dead(timeout_seconds=RESET_SECONDS)
        assert FIRED in host.console_log()


@pytest.mark.time_limit(400)
async def test_a_host_whose_guard_was_killed_is_reset_by_xen(host: Host) -> None:
    """With -9: nothing stops the timer that it kicked."""
    async with released(host):
        guard = await start(host, settings(["xen"]), armed=1)
        await guard.signal("KILL")
        await host.wait_dead(timeout_seconds=RESET_SECONDS)
        assert FIRED in host.console_log()


@pytest.mark.time_limit(400)
@pytest.mark.parametrize("signal", ["KILL", "STOP"])
async def test_the_machines_own_watchdog_resets_it_alone(host: Host, signal: str) -> None:
    """Without Xen's timer, when the guard is killed, and when it is stopped."""
    async with released(host):
        await host.output("modprobe", "softdog")
        guard = await start(host, settings(["linux"]), armed=1)
        assert await timers(host) == []
        await guard.signal(signal)
        await host.wait_dead(timeout_seconds=RESET_SECONDS)
        assert SOFTDOG_FIRED in host.console_log()
        assert FIRED not in host.console_log()

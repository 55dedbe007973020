"""Guests on the plain toolstack: what the tests of domwarden stand on."""

from __future__ import annotations

import json

import pytest

from domwarden.testing.console import GuestError

from ..testbeds.xen import guests
from ..testbeds.xen.bed import Bed
from ..testbeds.xen.channel import Dom0Error
from ..testbeds.xen.host import Host

pytestmark = [pytest.mark.live, pytest.mark.xen]

DISK = "/var/test/disk"
DISK_BYTES = 16 << 20
MAC = "00:16:3e:00:00:01"
WATCHDOG_SECONDS = 20
RECEIVER_PORT = 8002


async def make_disk(host: Host) -> None:
    await host.put(DISK, b"")
    await host.output("truncate", "-s", str(DISK_BYTES), DISK)


@pytest.mark.time_limit(120)
async def test_domwarden_and_its_drivers_are_in_dom0(bed: Bed) -> None:
    """The command runs there and finds the drivers of this checkout, a third party's included."""
    listed = json.loads(await bed.m1.output("domwarden", "plugins", "--json"))
    assert {"xen", "embedded", "xen_wdt", "blk", "net", "licence"} <= set(_names(listed))


def _names(value: object) -> list[str]:
    """Every value of a key `name`, however deep."""
    if isinstance(value, dict):
        own = [value["name"]] if isinstance(value.get("name"), str) else []
        return own + [name for each in value.values() for name in _names(each)]
    return [name for each in value for name in _names(each)] if isinstance(value, list) else []


@pytest.mark.slow  # domwarden's own moves show the same every day
@pytest.mark.time_limit(600)
async def test_a_guest_moves_with_its_disk_and_card_and_is_still_guarded(bed: Bed) -> None:
    """By xl alone: the counter goes on, disk and card work, and a panic is found out over there."""
    for host in bed.hosts:
        await make_disk(host)
    there = f"socat -b 1048576 - TCP:{bed.m2.address}:{RECEIVER_PORT}"
    listener = f"TCP-LISTEN:{RECEIVER_PORT},reuseaddr"
    configuration = guests.config("mover", disks=[DISK], macs=[MAC], on_watchdog="preserve")
    await guests.create(bed.m1, "mover", configuration)
    async with guests.console(bed.m1, "mover") as console:
        assert await console.command(f"watchdog start {WATCHDOG_SECONDS}") == (
            f"timeout {WATCHDOG_SECONDS} identity xen_wdt"
        )
        assert await console.command("write xvda 1000 over there") == "wrote 10"
        assert await console.command("mac") == f"eth0={MAC}"
        await console.command("net up 192.168.77.101/24")
        await bed.m2.output("ping", "-c", "1", "-w", "20", "192.168.77.101")
        await console.command("count start -")
        last = (await console.wait_count(1)).number
    assert b"over there" in (await bed.m1.get(DISK))[:4096]
    receiver = ["socat", "-b", "1048576", listener, "EXEC:xl migrate-receive"]
    async with bed.m2.channel.stream(command=receiver):
        (await bed.m1.run(["xl", "migrate", "-s", "", "mover", there], timeout_seconds=240)).check()
    assert await guests.names(bed.m1) == []
    assert await guests.names(bed.m2) == ["mover"]
    async with guests.console(bed.m2, "mover") as console:
        assert (await console.wait_count(last + 1)).number > last
        assert int(await console.command("timeleft")) > 0
        await console.command("write xvda 2000 and here")
        assert "min/avg/max" in await console.command(f"net ping {bed.m1.address}")
        assert await console.command("hang panic") == "hanging"
        assert not await console.alive(timeout_seconds=2)
    await guests.wait_state(bed.m2, "mover", "w", timeout_seconds=WATCHDOG_SECONDS * 3)
    assert b"and here" in (await bed.m2.get(DISK))[:4096]


@pytest.mark.time_limit(300)
async def test_a_guest_kicks_by_hypercall_and_suspends_itself(bed: Bed) -> None:
    """Raw hypercalls need unrestricted=1; ids and errors are Xen's own."""
    await guests.create(bed.m1, "raw", guests.config("raw", on_watchdog="preserve"))
    async with guests.console(bed.m1, "raw") as console:
        await console.command("load xen_privcmd unrestricted=1")
        assert await console.command("xen watchdog 0 300") == "1"
        assert await console.command("xen kick start 300") == "kicking 2"
        with pytest.raises(GuestError, match="ENOSPC"):
            await console.command("xen watchdog 0 300")
        assert await console.command("xen watchdog 1 0") == "0"
        with pytest.raises(GuestError, match="EINVAL"):
            await console.command("xen watchdog 1 300")
        assert await console.command("xen suspend") == "suspending"
    await guests.wait_state(bed.m1, "raw", "s", timeout_seconds=30)


async def test_what_xl_refuses_is_told(bed: Bed) -> None:
    """A guest that cannot be made is an error with xl's own words."""
    with pytest.raises(Dom0Error, match="kernel"):
        await guests.create(bed.m1, "none", guests.config("none", kernel="/no/such/file"))

"""A domain and all its devices move between two real Xen hosts by ``domwarden migrate`` alone."""

from __future__ import annotations

import re

import pytest

from ..testbeds.xen import guests
from ..testbeds.xen.bed import Bed
from .moving import DISK, MAC, MOVED_STATE, NAME, WATCHDOG_SECONDS, moving

pytestmark = [pytest.mark.live, pytest.mark.xen, pytest.mark.time_limit(3000)]

#: Host, device, and the steps that it must be seen to take there.
STEPS = (
    ("m1", "cad", ("test", "start")),
    ("m2", "cad", ("test", "prepare", "sync")),
    ("m1", "root", ("test", "prepare", "start", "sync")),
    ("m2", "root", ("test", "open", "prepare", "sync", "finish")),
    ("m1", "tpm0", ("test", "prepare", "start", "sync")),
    ("m2", "tpm0", ("test", "sync")),
    ("m2", "eth0", ("test", "finish")),
)


async def test_a_domain_moves_with_all_its_devices(bed: Bed) -> None:
    """Disk, card, licence, TPM and watchdog take their steps; the one copy goes on over there."""
    async with moving(bed, served=True) as move:
        here, there = move.here, move.there
        since = await move.start()
        moved = await move.migrate()
        assert moved.status == 0, moved.stderr
        assert re.search(rf"{NAME}: on {there.name} after .*, blackout [0-9]+ ms", moved.stderr)
        for host, device, steps in STEPS:
            for step in steps:
                wanted = rf" s  {host} {device} +{step} +\|"
                assert re.search(wanted, moved.stdout), (host, device, step, moved.stdout)
        await move.goes_on(there, since)
        async with guests.console(there.host, NAME) as console:
            assert 0 < int(await console.command("timeleft")) <= WATCHDOG_SECONDS
            assert await console.command("mac") == f"eth0={MAC}"
            assert "from the source" in await console.command("read xvda 1000 15")
        assert await there.host.get(MOVED_STATE) == b"secrets"
        (status,) = await there.json("status")
        assert status["state"] == "running"
        (left,) = await here.json("status")
        assert left["moved_to"] == there.name


@pytest.mark.slow
async def test_a_domain_that_is_refused_or_fails_in_sync_goes_on_at_its_source(bed: Bed) -> None:
    """Refused by both ends at once; then held over there, given up, and brought back."""
    async with moving(bed) as move:
        here, there = move.here, move.there
        since = await move.start()

        await there.host.put(DISK, b"somebody else's")
        await move.fail(here, 0)
        refused = await move.migrate()
        assert refused.status == 1
        for word in ("root", "tpm0", "told to fail at step 0", here.name, there.name):
            assert word in refused.stderr
        since = await move.goes_on(here, since)
        assert await there.host.get(DISK) == b"somebody else's"
        await there.host.output("rm", DISK)
        await move.fail(here, 0, yes=False)

        await move.fail(here, 3)
        failed = await move.migrate()
        assert failed.status == 1
        assert "told to fail at step 3" in failed.stderr
        await move.goes_on(here, since)
        assert (await move.calls(here)).splitlines()[-1].endswith("-recover")
        assert (await there.host.run(["test", "-e", DISK])).status == 1

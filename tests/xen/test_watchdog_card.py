"""A whole emulated machine as a guest, and the watchdog card that only such a guest has."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from domwarden.testing.console import Console

from ..testbeds.xen import guests
from ..testbeds.xen.build import GUEST_INITRD, GUEST_VMLINUZ
from ..testbeds.xen.host import Host
from .looks import alone, history, row, wait_made_again

pytestmark = [pytest.mark.live, pytest.mark.xen, pytest.mark.slow]

NAME = "card"
SECONDS = 60
#: Its kernel is read byte by byte from an emulated device.
BOOT_SECONDS = 1200.0
BOOT = {
    "kernel": GUEST_VMLINUZ,
    "initrd": GUEST_INITRD,
    # The emulated serial line costs two exits a byte.
    "cmdline": guests.HVM_CMDLINE.replace("ttyS0", "hvc0"),
}


@asynccontextmanager
async def console(host: Host, domid: int) -> AsyncIterator[Console]:
    """Enter Xen's own console of the guest once its shell has said that it is there."""
    terminal = await host.output("xenstore-read", f"/local/domain/{domid}/console/tty")
    async with host.channel.stream(terminal=terminal.strip()) as ends, Console.over(*ends) as made:
        async with asyncio.timeout(BOOT_SECONDS):
            while "guest: ready" not in made.lines:  # noqa: ASYNC110 - the console has no event
                await asyncio.sleep(1)
        await made.wait_ready()
        yield made


@pytest.mark.time_limit(2400)
async def test_an_hvm_guest_is_reset_when_its_emulated_card_expires(host: Host) -> None:
    """Xen does not notice, and QEMU cannot reset it: domwarden hears of it and does."""
    watchdog = {"driver": "i6300esb", "timeout": f"{SECONDS}s", "action": "reset"}
    async with alone(host) as here:
        await here.start(NAME, type="hvm", memory="160MiB", boot=BOOT, watchdog=watchdog)
        first, _flags = await row(host, NAME)
        async with console(host, first) as guest:
            assert await guest.command(f"watchdog start {SECONDS}", timeout_seconds=60) == (
                f"timeout {SECONDS} identity i6300ESB timer"
            )
            (status,) = await here.json("status", NAME)
            assert (status["state"], status["watchdog"]["armed"]) == ("running", "unknown")
            assert await guest.command("hang irqs-off", timeout_seconds=60) == "hanging"
        await wait_made_again(host, NAME, first)
        (status,) = await here.json("status", NAME)
        assert (status["state"], status["expiries"]) == ("running", 1)
        (expiry,) = await history(here, NAME)
        assert (expiry["driver"], expiry["action"]) == ("i6300esb", "reset")
        assert expiry["detail"] == f"the watchdog card of domain {first} expired"
        (await here.run("stop", NAME)).check()
        assert await guests.names(host) == []

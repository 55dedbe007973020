"""The client of Xen's watchdog hypercall, in dom0 and in a guest's kernel that bars it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from domwarden.testing.console import GuestError

from ..testbeds.xen.guests import config, console, create
from ..testbeds.xen.host import Host
from .guarding import timers

pytestmark = [pytest.mark.live, pytest.mark.xen]

#: Runs in dom0: each line of input is a method and its arguments, each of output its answer.
_SCRIPT = """
import json, sys
from domwarden_xen_wdt import Hypercall, HypercallError
with Hypercall() as call:
    for line in sys.stdin:
        name, *values = json.loads(line)
        try:
            print(json.dumps(getattr(call, name)(*values)))
        except (HypercallError, ValueError) as error:
            print(json.dumps([type(error).__name__, getattr(error, "number", None)]))
"""


async def ask(host: Host, *calls: list[Any]) -> list[Any]:
    """Return what the client in dom0 answers, one process for all calls."""
    orders = "".join(f"{json.dumps(call)}\n" for call in calls).encode()
    done = await host.run(["python3", "-c", _SCRIPT], stdin=orders)
    return [json.loads(line) for line in done.check().splitlines()]


@pytest.mark.time_limit(180)
async def test_the_client_arms_kicks_and_disarms_dom0s_own_timers(host: Host) -> None:
    """Two timers, the third has no slot, unknown ids, and Xen's own word for the time left."""
    try:
        assert await ask(host, ["arm", 1000], ["arm", 2000], ["arm", 3000]) == [
            1,
            2,
            ["NoSlot", 28],
        ]
        assert [left // 100 for left in await timers(host)] == [9, 19]
        assert await ask(host, ["kick", 1, 5000], ["kick", 3, 60], ["disarm", 2]) == [
            None,
            ["UnknownTimer", 22],
            None,
        ]
        assert [left // 100 for left in await timers(host)] == [49]
        assert await ask(host, ["kick", 2, 60], ["arm", 0], ["call", 0, 0], ["kick", 1, 0]) == [
            ["UnknownTimer", 22],
            ["ValueError", None],
            ["ValueError", None],
            ["ValueError", None],
        ]
    finally:
        assert await ask(host, ["call", 1, 0], ["call", 2, 0])
    assert await timers(host) == []


@pytest.mark.time_limit(400)
async def test_a_guests_kernel_bars_it(shared_host: Host) -> None:
    """EPERM, for which the client names unrestricted=1; parity's guests have that, and may."""
    try:
        await create(shared_host, "barred", config("barred", on_watchdog="preserve"))
        async with console(shared_host, "barred") as guest:
            await guest.command("load xen_privcmd")
            with pytest.raises(GuestError, match="EPERM"):
                await guest.command("xen watchdog 0 600")
    finally:
        await shared_host.run(["xl", "destroy", "barred"])

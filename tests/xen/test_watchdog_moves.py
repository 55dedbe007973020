"""What becomes of a guarded domain's timer in a move: Xen drops it."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from ..testbeds.xen import guests
from ..testbeds.xen.bed import Bed
from ..testbeds.xen.host import Host
from ..testbeds.xen.wardens import Warden, wardens
from .looks import alone

pytestmark = [pytest.mark.live, pytest.mark.xen]

NAME = "web1"
#: Far longer than a move takes on a loaded machine.
SECONDS = 600
WATCHDOG = {"driver": "xen_wdt", "timeout": f"{SECONDS}s", "action": "pause"}

#: Takes the domain on from where it is; returns where it is then, and the alarms.
Move = Callable[[Warden], Awaitable[tuple[Warden, list[str]]]]


async def reading(warden: Warden) -> dict[str, Any]:
    """Return what the status says of the timer."""
    (status,) = await warden.json("status", NAME)
    return dict(status["watchdog"])


async def only_a_raw_user_is_told(here: Warden, move: Move) -> None:
    """Linux' own driver arms a new timer when it wakes, which is no alarm; a raw kicker cannot."""
    await here.start(NAME, watchdog=WATCHDOG)
    async with guests.console(here.host, NAME) as console:
        await console.command(f"watchdog start {SECONDS}")
    armed = await reading(here)
    assert armed["armed"] == "armed"
    assert 0 < armed["time_left_seconds"] <= SECONDS + 1
    where, alarms = await move(here)
    assert alarms == []
    assert (await reading(where))["armed"] == "armed"

    async with guests.console(where.host, NAME) as console:
        await console.command("watchdog stop")
        await console.command("load xen_privcmd unrestricted=1")
        assert await console.command(f"xen kick start {SECONDS}") == "kicking 1"
    where, (alarm,) = await move(where)
    assert alarm.startswith(f"watchdog-lost: the watchdog of {NAME} was armed before the move")
    assert (await reading(where))["armed"] == "disarmed"


@pytest.mark.slow
@pytest.mark.time_limit(1200)
async def test_a_timer_that_a_restore_lost_is_told(host: Host) -> None:
    """The domain goes through a file twice."""
    numbers = itertools.count(1)

    async def through_a_file(here: Warden) -> tuple[Warden, list[str]]:
        path = f"{here.folder}/save{next(numbers)}"
        await here.json("save", NAME, path)
        return here, list((await here.json("restore", path))["alarms"])

    async with alone(host) as warden:
        await only_a_raw_user_is_told(warden, through_a_file)


@pytest.mark.slow
@pytest.mark.time_limit(2400)
async def test_a_timer_that_a_migration_lost_is_told(bed: Bed) -> None:
    """The domain moves there and back."""
    async with wardens(bed) as (one, other):

        async def to_the_other(here: Warden) -> tuple[Warden, list[str]]:
            there = other if here is one else one
            moved = await here.json("migrate", NAME, "--to", there.name)
            return there, list(moved["alarms"])

        await only_a_raw_user_is_told(one, to_the_other)

"""What becomes of a guarded domain's timer in a move: Xen drops it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from ..testbeds.xen import guests
from ..testbeds.xen.bed import Bed
from ..testbeds.xen.wardens import Warden, wardens

pytestmark = [pytest.mark.live, pytest.mark.xen]

NAME = "web1"
#: Far longer than a move takes on a loaded machine.
SECONDS = 600
WATCHDOG = {"driver": "xen_wdt", "timeout": f"{SECONDS}s", "action": "pause"}


async def saved_and_restored(here: Warden, _there: Warden) -> tuple[Warden, list[str]]:
    """Take the domain through a file; return where it is then, and the alarms."""
    await here.json("save", NAME, f"{here.folder}/save")
    restored = await here.json("restore", f"{here.folder}/save")
    return here, list(restored["alarms"])


async def migrated(here: Warden, there: Warden) -> tuple[Warden, list[str]]:
    """Move the domain to the other host; return where it is then, and the alarms."""
    moved = await here.json("migrate", NAME, "--to", there.name)
    return there, list(moved["alarms"])


async def reading(warden: Warden) -> dict[str, Any]:
    """Return what the status says of the timer."""
    (status,) = await warden.json("status", NAME)
    return dict(status["watchdog"])


@pytest.mark.time_limit(900)
@pytest.mark.parametrize(
    "ways",
    [
        (saved_and_restored, migrated),
        pytest.param((migrated, saved_and_restored), marks=pytest.mark.slow),
    ],
    ids=["restore-migrate", "migrate-restore"],
)
async def test_a_raw_user_of_the_hypercall_is_told_to_be_unguarded(
    bed: Bed, ways: Sequence[Any]
) -> None:
    """Linux' own driver arms a new timer when it wakes, which is no alarm; a raw kicker cannot."""
    async with wardens(bed) as (here, there):
        await here.start(NAME, watchdog=WATCHDOG)
        async with guests.console(here.host, NAME) as console:
            await console.command(f"watchdog start {SECONDS}")
        armed = await reading(here)
        assert armed["armed"] == "armed"
        assert 0 < armed["time_left_seconds"] <= SECONDS + 1
        where, alarms = await ways[0](here, there)
        assert alarms == []
        assert (await reading(where))["armed"] == "armed"

        async with guests.console(where.host, NAME) as console:
            await console.command("watchdog stop")
            await console.command("load xen_privcmd unrestricted=1")
            assert await console.command(f"xen kick start {SECONDS}") == "kicking 1"
        where, (alarm,) = await ways[1](where, there if where is here else here)
        assert alarm.startswith(f"watchdog-lost: the watchdog of {NAME} was armed before the move")
        assert (await reading(where))["armed"] == "disarmed"
        async with guests.console(where.host, NAME) as console:
            assert await console.alive(timeout_seconds=30)

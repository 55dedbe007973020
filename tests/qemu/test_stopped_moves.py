"""A guest that something stops while real QEMU copies it stays stopped, and stays where it is."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from domwarden.contract import Action, GuestStoppedError, MigrationSettings, RunState
from domwarden.testing.console import Console

from .lab import MOVE, NAME, booted, ignore, until

pytestmark = [pytest.mark.live, pytest.mark.time_limit(180)]

#: So slow that whatever happens, happens while memory is copied.
SLOWLY = MigrationSettings(timeout_seconds=120.0, bandwidth_bytes_per_second=2**20)


async def test_a_watchdog_that_pauses_in_the_middle_of_a_move_ends_the_move(
    tmp_path: Path,
) -> None:
    """The abort leaves the guest paused, for whoever wants to look; it can be reset there."""
    async with booted(tmp_path, action=Action.PAUSE, migration=SLOWLY) as (made, live):
        incoming = made.engine("b").incoming(NAME, MOVE)
        outgoing = made.engine("a").outgoing(live, MOVE)
        address = await incoming.listen(live, made.room)
        async with await Console.connect(made.console("a")) as console:
            await console.wait_ready()
            await console.command("watchdog start 4")
            await console.command("hang irqs-off")
        with pytest.raises(GuestStoppedError, match="its watchdog fired"):
            await outgoing.precopy(address, ignore)
        await incoming.discard()
        await outgoing.abort(resume=True)
        observation = await made.engine("a").observe(NAME)
        assert (observation.state, observation.detail.partition(",")[0]) == (
            RunState.PAUSED,
            "watchdog",
        )
        await made.engine("a").act(NAME, Action.RESET)
        async with await Console.connect(made.console("a")) as console:
            await console.wait_ready(timeout_seconds=60.0)


async def test_a_guest_that_is_stopped_by_hand_in_the_middle_of_a_move_stays_so(
    tmp_path: Path,
) -> None:
    """Past domwarden, by a command to QEMU; afterwards it goes on where it was."""
    async with booted(tmp_path, migration=SLOWLY) as (made, live):
        incoming = made.engine("b").incoming(NAME, MOVE)
        outgoing = made.engine("a").outgoing(live, MOVE)
        address = await incoming.listen(live, made.room)
        copying = asyncio.create_task(outgoing.precopy(address, ignore))

        async def active() -> bool:
            return await made.migration("a") == "active"

        await until(active)
        await made.execute("a", "stop")
        with pytest.raises(GuestStoppedError, match="QEMU says: paused"):
            await copying
        await incoming.discard()
        await outgoing.abort(resume=True)
        assert await made.state("a") is RunState.PAUSED
        await made.engine("a").resume(NAME)
        await made.answers("a")

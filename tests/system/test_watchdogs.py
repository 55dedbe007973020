"""A real guest hangs in every way, at rest and on the move, and the card outside it fires."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest

from domwarden.contract import Action, Armed, Expiry, Reading, RunState
from domwarden.migration import Moment, What

from .house import NAME, House, house, until
from .survival import other

pytestmark = [pytest.mark.live, pytest.mark.time_limit(400)]

CARD_RESET = "32"  # WDIOF_CARDRESET, linux/watchdog.h
#: The shortest time-out that a kicked guest keeps on a busy machine, and one to move within.
SHORT_SECONDS, LONG_SECONDS = 4, 12
#: i6300esb fires after 1.0066 times what the guest asked for.
CARD_FACTOR = 1.0066
#: How much later than that a busy machine may show it.
LATE_SECONDS = 4.0
_ELF = b"\x7fELF"


async def _expiries(made: House, host: str) -> list[Expiry]:
    async with made.warden(host) as warden:
        return await warden.expiries(NAME)


async def _expired(made: House, host: str, number: int, *, seconds: float = 40.0) -> Expiry:
    """Wait for the host's so many-th expiry; the supervisor, a process of its own, wrote it."""

    async def there() -> bool:
        return len(await _expiries(made, host)) >= number

    await until(there, f"expiry {number} on {host}", seconds=seconds)
    found = await _expiries(made, host)
    assert len(found) == number
    return found[-1]


async def _reading(made: House, host: str) -> Reading:
    status = await made.status(host)
    assert status is not None
    assert status.watchdog is not None
    return status.watchdog


async def _hang(made: House, host: str, way: str, seconds: int) -> float:
    """Arm the card, hang the guest, and return when."""
    console = await made.console(host)
    await console.command(f"watchdog start {seconds}")
    assert await console.command(f"hang {way}") == "hanging"
    return time.time()


async def _was_reset(made: House, host: str) -> None:
    console = await made.console(host, seconds=120.0)
    assert await console.command("bootstatus") == CARD_RESET


async def test_each_hang_is_reset_and_the_fourth_within_the_time_pauses(tmp_path: Path) -> None:
    """Also when the supervisor was killed in between: the next verb brings another."""
    rule = {"after": 4, "within": "10min", "action": "pause"}
    watchdog = {"timeout": f"{SHORT_SECONDS}s", "action": "reset", "escalate": rule}
    async with house(tmp_path, devices=False, watchdog=watchdog) as made:
        for number, way in enumerate(("irqs-off", "panic", "corrupt"), start=1):
            hung_at = await _hang(made, "a", way, SHORT_SECONDS)
            expiry = await _expired(made, "a", number)
            assert expiry.action is Action.RESET
            assert expiry.driver == "i6300esb"
            # The last kick was at most a quarter of the time-out before.
            earliest = SHORT_SECONDS * 0.75 - 0.5
            assert earliest < expiry.at - hung_at < SHORT_SECONDS * CARD_FACTOR + LATE_SECONDS
            await _was_reset(made, "a")
            if number == 1:
                await _supervisor_dies(made)
        await _hang(made, "a", "irqs-off", SHORT_SECONDS)
        await _expired(made, "a", 4)
        await until(lambda: _is(made, "a", RunState.PAUSED), "the fourth expiry pauses")


async def _supervisor_dies(made: House) -> None:
    (before,) = made.supervisors("a")
    os.kill(before, signal.SIGKILL)
    await until(lambda: made.supervisors("a") == [], "the supervisor is dead")
    await made.status("a")
    (after,) = made.supervisors("a")
    assert after != before
    await asyncio.sleep(3)  # until it listens: its start is Python's


async def _is(made: House, host: str, state: RunState) -> bool:
    return await made.state(host) is state


async def test_a_dump_is_written_then_the_guest_reset_then_escalated(tmp_path: Path) -> None:
    """QEMU only pauses; the supervisor writes the guest's memory and resets it."""
    rule = {"after": 2, "within": "10min", "action": "poweroff"}
    watchdog = {"timeout": f"{SHORT_SECONDS}s", "action": "dump", "escalate": rule}
    async with house(tmp_path, devices=False, watchdog=watchdog) as made:
        await _hang(made, "a", "irqs-off", SHORT_SECONDS)
        assert (await _expired(made, "a", 1)).action is Action.DUMP
        await _was_reset(made, "a")
        (dump,) = (tmp_path / "a" / "dumps").glob(f"{NAME}-*.elf")
        assert dump.read_bytes()[:4] == _ELF
        assert dump.stat().st_size > 192 * 2**20
        await _hang(made, "a", "irqs-off", SHORT_SECONDS)
        await _expired(made, "a", 2)
        await until(lambda: _is(made, "a", RunState.ENDED), "the second expiry powers off")
        assert list((tmp_path / "a" / "dumps").iterdir()) == [dump]


async def test_notify_is_recorded_and_a_card_that_did_not_arrive_armed_is_an_alarm(
    tmp_path: Path,
) -> None:
    """The guest lives on; only its kicker had died. The card is disarmed by its firing."""
    watchdog = {"timeout": f"{SHORT_SECONDS}s", "action": "notify"}
    async with house(tmp_path, devices=False, watchdog=watchdog) as made:
        console = await made.console("a")
        await console.command(f"watchdog start {SHORT_SECONDS}")
        await console.command("watchdog kill")
        assert (await _expired(made, "a", 1)).action is Action.NOTIFY
        assert await console.alive()
        assert (await _reading(made, "a")).armed is Armed.DISARMED
        # Linux takes the watchdog of a dead kicker for running; only a magic close ends that.
        await console.command(f"watchdog start {LONG_SECONDS}")
        await console.command("watchdog stop")
        await console.command(f"watchdog start {LONG_SECONDS}")
        assert (await _reading(made, "a")).armed is Armed.ARMED
        disarmed: list[asyncio.Task[str]] = []

        def disarm(moment: Moment) -> None:
            if moment.what is What.STEP_BEGUN and moment.step == "open":
                disarmed.append(asyncio.create_task(console.command("watchdog stop")))

        async with made.warden("a") as warden:
            (alarm,) = (await warden.migrate(NAME, "b", observer=disarm)).alarms
        assert await disarmed[0] == "disarmed"
        assert alarm.startswith("watchdog-lost: ")
        assert (await _reading(made, "b")).armed is Armed.DISARMED


async def test_the_deadline_travels(tmp_path: Path) -> None:
    """A kicked guest moves unharmed; one that hangs before or in its move is reset over there."""
    watchdog = {"timeout": f"{LONG_SECONDS}s", "action": "reset"}
    async with house(tmp_path, devices=False, watchdog=watchdog) as made:
        console = await made.console("a")
        await console.command(f"watchdog start {LONG_SECONDS}")
        await _move(made, "a")
        arrived_at = time.monotonic()
        reading = await _reading(made, "b")
        assert reading.armed is Armed.ARMED
        assert reading.timeout_seconds == pytest.approx(LONG_SECONDS * CARD_FACTOR, abs=0.01)

        async def kicked() -> bool:
            ago = (await _reading(made, "b")).last_kick_seconds_ago
            return ago is not None and ago < time.monotonic() - arrived_at

        await until(kicked, "the card is kicked where it is now", seconds=LONG_SECONDS)
        assert await _expiries(made, "b") == []
        console = await made.console("b")
        await console.command("watchdog kill")
        await _fires_over_there(made, "b", paused_seconds=LONG_SECONDS)
        await _hang(made, "a", "irqs-off", LONG_SECONDS)
        await _fires_over_there(made, "a")


async def _move(made: House, source: str) -> float:
    """Move, and return for how long the guest stood still."""
    async with made.warden(source) as warden:
        moved = await warden.migrate(NAME, other(source))
    assert moved.alarms == ()
    assert moved.blackout_seconds is not None
    return moved.blackout_seconds


async def _fires_over_there(made: House, source: str, *, paused_seconds: float = 0.0) -> None:
    """Move a guest that kicks no more: the card fires when the guest's own clock says so.

    A pause in between, longer than the time-out, is allowed and does not count.
    """
    before = {host: len(await _expiries(made, host)) for host in "ab"}
    left = (await _reading(made, source)).time_left_seconds
    seen_at = time.time()
    assert left is not None
    still = await _move(made, source)
    there = other(source)
    if paused_seconds:
        async with made.warden(there) as warden:
            begin = time.time()
            await warden.pause(NAME)
            await asyncio.sleep(paused_seconds)
            assert await warden.expiries(NAME) == []
            await warden.resume(NAME)
            still += time.time() - begin
    expiry = await _expired(made, there, before[there] + 1)
    assert -0.5 < expiry.at - (seen_at + left + still) < LATE_SECONDS
    assert len(await _expiries(made, source)) == before[source]
    await _was_reset(made, there)

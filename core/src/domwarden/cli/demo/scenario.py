"""The story of the demonstration: guard, hang, reset, move, prove."""

from __future__ import annotations

import asyncio
import dataclasses
import time

from domwarden.cli.chart import seconds
from domwarden.cli.demo.guest import Guest
from domwarden.cli.demo.place import DOMAIN, POLL_SECONDS, Place
from domwarden.cli.progress import Lines
from domwarden.contract import Armed, DomwardenError
from domwarden.migration import Moment, Moved, Timeline

#: A guest under emulation boots in some ten seconds; a loaded machine gets its time.
BOOT_SECONDS = 600.0
#: How long a loaded machine may take until it tells of an expiry.
EXPIRY_SECONDS = 300.0


@dataclasses.dataclass(frozen=True)
class Story:
    """What the demonstration saw."""

    timeline: Timeline
    moved: Moved
    reset_after_seconds: float


async def play(
    here: Place, there: Place, engine: str, timeout_seconds: int, screen: Lines
) -> Story:
    """Run the whole story on a screen; the domain is stopped at the end, however it ends.

    Raises DomwardenError for anything that did not go as promised.
    """
    try:
        screen.say(f"start {DOMAIN} ({engine}) on host {here.name}")
        await here.start()
        async with here.guest() as guest:
            reset_after = await _hang(here, guest, timeout_seconds, screen)
            before = await _work(guest, timeout_seconds, screen)
        timeline, moved = await _move(here, there, screen)
        async with there.guest() as guest:
            await _prove(there, guest, before, screen)
        return Story(timeline, moved, reset_after)
    finally:
        for place in (here, there):
            await place.stop()


async def _hang(place: Place, guest: Guest, timeout_seconds: int, screen: Lines) -> float:
    """Hang the guest with interrupts off; return how long the hypervisor took to reset it."""
    # Somebody who watches must be there before it happens: a command takes its time to start.
    watching = asyncio.create_task(place.expiry(), name=f"{DOMAIN}/expiry")
    try:
        await _ready(guest, screen)
        await guest.guard(timeout_seconds)
        screen.say(f"the guest kicks its watchdog, time-out {timeout_seconds} s")
        screen.say("hang the guest: a CPU loop with interrupts off")
        hung_at = time.time()
        await guest.hang()
        longest_seconds = timeout_seconds * 4 + EXPIRY_SECONDS
        with screen.waiting("the watchdog", longest_seconds):
            async with asyncio.timeout(longest_seconds):
                expiry = await watching
    finally:
        watching.cancel()
    after = expiry.at - hung_at
    screen.say(f"the hypervisor's watchdog fired {seconds(after)} later: {expiry.action}")
    await _ready(guest, screen)
    screen.say(f"the guest is back; {await guest.why_reset()}")
    return after


async def _work(guest: Guest, timeout_seconds: int, screen: Lines) -> dict[str, str]:
    """Give the guest something to lose; return what must be the same afterwards."""
    await guest.guard(timeout_seconds)
    screen.say(f"the guest is armed again, {await guest.work()}")
    before = await guest.facts()
    before["counted"] = str(await _counted_past(guest, 20, screen))
    return before


async def _ready(guest: Guest, screen: Lines) -> None:
    """Wait until the guest answers."""
    with screen.waiting("the guest boots", BOOT_SECONDS):
        await guest.ready(BOOT_SECONDS)


async def _counted_past(guest: Guest, number: int, screen: Lines) -> int:
    """Wait until the guest counted past a number; return how far it is."""
    with screen.waiting("the guest counts", BOOT_SECONDS):
        async with asyncio.timeout(BOOT_SECONDS):
            while (now := await guest.counted()) <= number:  # noqa: ASYNC110 - only the guest knows
                await asyncio.sleep(POLL_SECONDS)
    return now


async def _move(here: Place, there: Place, screen: Lines) -> tuple[Timeline, Moved]:
    refusals, blackout_seconds = await here.plan(there.name)
    screen.say(f"plan: {refusals} refusals, predicted blackout {seconds(blackout_seconds)}")
    screen.say(f"migrate to host {there.name} in four steps, while the guest writes")
    timeline = Timeline()

    def observe(moment: Moment) -> None:
        timeline(moment)
        screen.hear(moment)

    moved = await here.migrate(there.name, observe)
    for alarm in moved.alarms:
        screen.say(f"ALARM: {alarm}")
    return timeline, moved


async def _prove(place: Place, guest: Guest, before: dict[str, str], screen: Lines) -> None:
    """See that the guest went on over there and lost nothing."""
    await _ready(guest, screen)
    then = int(before.pop("counted"))
    after = await guest.facts()
    if after != before:
        raise DomwardenError(f"the guest changed on its way: {before} became {after}")
    now = await _counted_past(guest, then, screen)
    reading = await place.reading()
    if reading is None or reading.armed is not Armed.ARMED:
        raise DomwardenError(f"the watchdog is not armed on host {place.name}: {reading}")
    screen.say(f"the guest runs on host {place.name}, counted on from {then} to {now}")
    left = reading.time_left_seconds
    screen.say(f"its watchdog is armed, {left:.1f} s left" if left else "its watchdog is armed")
    for name, value in after.items():
        screen.say(f"the same on both sides: {name} {value[:40]}")

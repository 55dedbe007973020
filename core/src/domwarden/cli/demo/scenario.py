"""The story of the demonstration: guard, hang, reset, move, prove."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from pathlib import Path

from domwarden.cli.chart import seconds
from domwarden.cli.demo.files import Files
from domwarden.cli.demo.guest import Guest, reach
from domwarden.cli.progress import Lines
from domwarden.config import load_domain, load_host
from domwarden.contract import Armed, DomwardenError, PermanentError
from domwarden.migration import Moment, Moved, Timeline
from domwarden.warden import Warden

DOMAIN = "web1"
#: A guest under emulation boots in some ten seconds; a loaded machine gets its time.
BOOT_SECONDS = 120.0
POLL_SECONDS = 0.05


@dataclasses.dataclass(frozen=True)
class Story:
    """What the demonstration saw."""

    timeline: Timeline
    moved: Moved
    reset_after_seconds: float


async def play(files: Files, timeout_seconds: int, screen: Lines) -> Story:
    """Run the whole story on a screen; the domain is stopped at the end, however it ends.

    Raises DomwardenError for anything that did not go as promised.
    """
    definition = load_domain(files.domain)
    async with Warden(load_host(files.host_a)) as a, Warden(load_host(files.host_b)) as b:
        try:
            screen.say(f"start {DOMAIN} ({definition.engine}) on host a")
            await a.start(definition)
            async with reach(await a.engine_of(DOMAIN), DOMAIN) as guest:
                reset_after = await _hang(a, guest, timeout_seconds, screen)
                before = await _work(guest, timeout_seconds, screen)
            timeline, moved = await _move(a, screen)
            async with reach(await b.engine_of(DOMAIN), DOMAIN) as guest:
                await _prove(b, guest, before, screen)
            return Story(timeline, moved, reset_after)
        finally:
            for warden in (a, b):
                await _stop(warden)


async def _stop(warden: Warden) -> None:
    try:
        await warden.stop(DOMAIN)
    except PermanentError:
        return  # it is not on this host


async def _hang(warden: Warden, guest: Guest, timeout_seconds: int, screen: Lines) -> float:
    """Hang the guest with interrupts off; return how long the hypervisor took to reset it."""
    await _ready(guest, screen)
    await guest.guard(timeout_seconds)
    screen.say(f"the guest kicks its watchdog, time-out {timeout_seconds} s")
    screen.say("hang the guest: a CPU loop with interrupts off")
    hung_at = time.time()
    await guest.hang()
    longest_seconds = timeout_seconds * 4 + 30
    with screen.waiting("the watchdog", longest_seconds):
        async with asyncio.timeout(longest_seconds):
            while not (expiries := await warden.expiries(DOMAIN)):  # noqa: ASYNC110 - another process writes
                await asyncio.sleep(POLL_SECONDS)
    after = expiries[-1].at - hung_at
    screen.say(f"the hypervisor's watchdog fired {seconds(after)} later: {expiries[-1].action}")
    await _ready(guest, screen)
    status = await guest.boot_status()
    screen.say(f"the guest is back; its card says why it was reset: boot status {status}")
    return after


async def _work(guest: Guest, timeout_seconds: int, screen: Lines) -> dict[str, str]:
    """Give the guest something to lose; return what must be the same afterwards."""
    await guest.guard(timeout_seconds)
    await guest.work()
    screen.say("the guest is armed again, measures into its TPM and writes to its disk")
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


async def _move(warden: Warden, screen: Lines) -> tuple[Timeline, Moved]:
    plan = await warden.plan(DOMAIN, "b")
    blackout = seconds(plan.predicted_blackout_seconds)
    screen.say(f"plan: {len(plan.refusals)} refusals, predicted blackout {blackout}")
    screen.say("migrate to host b in four steps, while the guest writes")
    timeline = Timeline()

    def observe(moment: Moment) -> None:
        timeline(moment)
        screen.hear(moment)

    moved = await warden.migrate(DOMAIN, "b", observer=observe)
    for alarm in moved.alarms:
        screen.say(f"ALARM: {alarm}")
    return timeline, moved


async def _prove(warden: Warden, guest: Guest, before: dict[str, str], screen: Lines) -> None:
    """See that the guest went on over there and lost nothing."""
    await _ready(guest, screen)
    then = int(before.pop("counted"))
    after = await guest.facts()
    if after != before:
        raise DomwardenError(f"the guest changed on its way: {before} became {after}")
    now = await _counted_past(guest, then, screen)
    (status,) = await warden.status(DOMAIN)
    if status.watchdog is None or status.watchdog.armed is not Armed.ARMED:
        raise DomwardenError(f"the watchdog is not armed on host b: {status.watchdog}")
    screen.say(f"the guest runs on host b, counted on from {then} to {now}")
    left = status.watchdog.time_left_seconds
    screen.say(f"its watchdog is armed, {left:.1f} s left" if left else "its watchdog is armed")
    for name, value in after.items():
        screen.say(f"the same on both sides: {name} {value[:40]}")


def directory_of(path: Path | None) -> Path:
    """Return an empty directory with a short path: Unix sockets will live in it."""
    import tempfile

    if path is None:
        return Path(tempfile.mkdtemp(prefix="dw-"))
    path.mkdir(parents=True, exist_ok=True)
    if any(path.iterdir()):
        raise DomwardenError(f"{path} is not empty", hint="name a new directory")
    return path.resolve()

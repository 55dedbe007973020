"""The story of the demonstration: guard, hang, reset, move, prove."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Callable
from pathlib import Path

from domwarden.cli.chart import seconds
from domwarden.cli.demo.files import Files
from domwarden.cli.demo.guest import Guest, reach
from domwarden.config import load_domain, load_host
from domwarden.contract import Armed, DomwardenError, PermanentError
from domwarden.migration import Moved, Timeline
from domwarden.warden import Warden

DOMAIN = "web1"
#: A guest under emulation boots in some ten seconds; a loaded machine gets its time.
BOOT_SECONDS = 120.0
POLL_SECONDS = 0.05

Tell = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Story:
    """What the demonstration saw."""

    timeline: Timeline
    moved: Moved
    reset_after_seconds: float


async def play(files: Files, timeout_seconds: int, tell: Tell) -> Story:
    """Run the whole story; the domain is stopped at the end, however it ends.

    Raises DomwardenError for anything that did not go as promised.
    """
    definition = load_domain(files.domain)
    async with Warden(load_host(files.host_a)) as a, Warden(load_host(files.host_b)) as b:
        try:
            tell(f"start {DOMAIN} ({definition.engine}) on host a")
            await a.start(definition)
            async with reach(await a.engine_of(DOMAIN), DOMAIN) as guest:
                reset_after = await _hang(a, guest, timeout_seconds, tell)
                before = await _work(guest, timeout_seconds, tell)
            timeline, moved = await _move(a, tell)
            async with reach(await b.engine_of(DOMAIN), DOMAIN) as guest:
                await _prove(b, guest, before, tell)
            return Story(timeline, moved, reset_after)
        finally:
            for warden in (a, b):
                await _stop(warden)


async def _stop(warden: Warden) -> None:
    try:
        await warden.stop(DOMAIN)
    except PermanentError:
        return  # it is not on this host


async def _hang(warden: Warden, guest: Guest, timeout_seconds: int, tell: Tell) -> float:
    """Hang the guest with interrupts off; return how long the hypervisor took to reset it."""
    await guest.ready(BOOT_SECONDS)
    await guest.guard(timeout_seconds)
    tell(f"the guest kicks its watchdog, time-out {timeout_seconds} s")
    tell("hang the guest: a CPU loop with interrupts off")
    hung_at = time.time()
    await guest.hang()
    async with asyncio.timeout(timeout_seconds * 4 + 30):
        while not (expiries := await warden.expiries(DOMAIN)):  # noqa: ASYNC110 - another process writes
            await asyncio.sleep(POLL_SECONDS)
    after = expiries[-1].at - hung_at
    tell(f"the hypervisor's watchdog fired {seconds(after)} later: {expiries[-1].action}")
    await guest.ready(BOOT_SECONDS)
    status = await guest.boot_status()
    tell(f"the guest is back; its card says why it was reset: boot status {status}")
    return after


async def _work(guest: Guest, timeout_seconds: int, tell: Tell) -> dict[str, str]:
    """Give the guest something to lose; return what must be the same afterwards."""
    await guest.guard(timeout_seconds)
    await guest.work()
    tell("the guest is armed again, measures into its TPM and writes to its disk")
    before = await guest.facts()
    before["counted"] = str(await _counted_past(guest, 20))
    return before


async def _counted_past(guest: Guest, number: int) -> int:
    """Wait until the guest counted past a number; return how far it is."""
    async with asyncio.timeout(BOOT_SECONDS):
        while (now := await guest.counted()) <= number:  # noqa: ASYNC110 - only the guest knows
            await asyncio.sleep(POLL_SECONDS)
    return now


async def _move(warden: Warden, tell: Tell) -> tuple[Timeline, Moved]:
    plan = await warden.plan(DOMAIN, "b")
    blackout = seconds(plan.predicted_blackout_seconds)
    tell(f"plan: {len(plan.refusals)} refusals, predicted blackout {blackout}")
    tell("migrate to host b in four steps, while the guest writes")
    timeline = Timeline()
    moved = await warden.migrate(DOMAIN, "b", observer=timeline)
    for alarm in moved.alarms:
        tell(f"ALARM: {alarm}")
    return timeline, moved


async def _prove(warden: Warden, guest: Guest, before: dict[str, str], tell: Tell) -> None:
    """See that the guest went on over there and lost nothing."""
    await guest.ready(BOOT_SECONDS)
    then = int(before.pop("counted"))
    after = await guest.facts()
    if after != before:
        raise DomwardenError(f"the guest changed on its way: {before} became {after}")
    now = await _counted_past(guest, then)
    (status,) = await warden.status(DOMAIN)
    if status.watchdog is None or status.watchdog.armed is not Armed.ARMED:
        raise DomwardenError(f"the watchdog is not armed on host b: {status.watchdog}")
    tell(f"the guest runs on host b, counted on from {then} to {now}")
    left = status.watchdog.time_left_seconds
    tell(f"its watchdog is armed, {left:.1f} s left" if left else "its watchdog is armed")
    for name, value in after.items():
        tell(f"the same on both sides: {name} {value[:40]}")


def directory_of(path: Path | None) -> Path:
    """Return an empty directory with a short path: Unix sockets will live in it."""
    import tempfile

    if path is None:
        return Path(tempfile.mkdtemp(prefix="dw-"))
    path.mkdir(parents=True, exist_ok=True)
    if any(path.iterdir()):
        raise DomwardenError(f"{path} is not empty", hint="name a new directory")
    return path.resolve()

"""A real guest's migration between two nested Xen hosts, beside ``xl migrate`` alone."""

from __future__ import annotations

import asyncio
import collections
import shutil
import statistics
import time

from tests.testbeds.guest.packages import BuildError
from tests.testbeds.xen.bed import booted
from tests.testbeds.xen.host import QEMU
from tests.testbeds.xen.wardens import wardens

from .absent import AbsentError
from .migrate import WAYS
from .mover import Way
from .report import Goal, Report
from .sampling import turns
from .xl_guests import MEMORY_MIB, ByDomwarden, ByXl, Moving

#: The total, as a share of xl's.
GOAL_TOTAL = 1.10
ROUNDS = 6
PEER = "xl migrate"
MACS = ("00:16:3e:00:00:01", "00:16:3e:00:00:02")

Samples = dict[str, list[float]]


def run(*, quick: bool) -> Report:
    """Measure both guests' moves, to and fro, in turn."""
    if shutil.which(QEMU) is None:
        raise AbsentError("xen", f"{QEMU} is not installed")
    try:
        samples = asyncio.run(_run(1 if quick else ROUNDS))
    except BuildError as error:
        raise AbsentError("xen", f"the hosts cannot be built: {error}") from error
    title = f"a guest of {MEMORY_MIB} MiB between two emulated Xen hosts, moved to and fro"
    report = Report("xl_migrate", title)
    _add(report, samples)
    return report


async def _run(rounds: int) -> Samples:
    async with booted() as bed, wardens(bed, served=True) as both:
        ours, theirs = ByDomwarden("web1", both), ByXl("web2", both)
        await ours.start(MACS[0])
        await theirs.start(ours, MACS[1])
        # Both once before it counts.
        await ours.move(Way.HERE)
        await theirs.move(Way.COMMAND)
        uptimes = [float(await mover.ask("uptime")) for mover in (ours, theirs)]
        begun = time.monotonic()
        samples = await _measure(ours, theirs, rounds)
        elapsed = time.monotonic() - begun
        for mover, before in zip((ours, theirs), uptimes, strict=True):
            if float(await mover.ask("uptime")) < before + 0.5 * elapsed:
                raise RuntimeError(f"{mover.name} was not up all the time")
    return samples


async def _measure(ours: ByDomwarden, theirs: ByXl, rounds: int) -> Samples:
    samples: Samples = collections.defaultdict(list)
    contenders: dict[str, tuple[Moving, Way]] = {str(way): (ours, way) for way in WAYS}
    contenders[PEER] = (theirs, Way.COMMAND)
    for order in turns(list(contenders), rounds):
        for contender in order:
            mover, way = contenders[contender]
            total = await mover.move(way)
            samples[contender].append(total)
            if mover is theirs:
                continue
            if mover.blackout_seconds is not None:
                samples[f"{contender} blackout"].append(mover.blackout_seconds)
            parts = {**mover.parts, "between these": total - sum(mover.parts.values())}
            for part, seconds in parts.items():
                samples[f"{contender} part {part}"].append(seconds)
    return samples


def _add(report: Report, samples: Samples) -> None:
    theirs = samples[PEER]
    for way, words in WAYS.items():
        ours = samples[way]
        shown = report.add(f"total, domwarden, {words}", "s", ours, peer=(PEER, theirs))
        if stood := samples[f"{way} blackout"]:
            report.add(f"of which the guest stood still, {words}", "s", stood)
        assert shown.ratio is not None
        goal = Goal(f"total by {words}, to {PEER}", "times", shown.ratio.median, GOAL_TOTAL)
        report.goals.append(goal)
        over = statistics.median(mine - peer for mine, peer in zip(ours, theirs, strict=True))
        report.notes.append(f"total by {words}: {over:.2f} s more than {PEER}")
    report.add(f"total, {PEER}", "s", theirs)
    for way, words in WAYS.items():
        begin = f"{way} part "
        parts = [
            f"{key.removeprefix(begin)} {statistics.median(values):.2f}"
            for key, values in samples.items()
            if key.startswith(begin)
        ]
        report.notes.append(f"parts of domwarden, {words}, median s: {', '.join(parts)}")

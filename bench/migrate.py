"""A real guest's migration, whole, beside the same migration in bare QMP."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.testbeds.guest.build import build
from tests.testbeds.guest.packages import BuildError

from .absent import AbsentError
from .calm import calm
from .commits import commit_seconds
from .ears import Ears
from .moved_by_domwarden import Domwarden
from .moved_by_script import Bare
from .mover import IDLE, MEMORY_MIB, USED, Case, Mover, Way
from .report import Goal, Report
from .sampling import turns
from .services import services

#: Total, and STOP to RESUME beyond the peer's and the commits', as shares of the peer's. The total
#: is judged by the guest in use: an idle one is moved in less time than any program needs to start.
GOAL_TOTAL = 1.10
GOAL_BLACKOUT = 1.25
ROUNDS = {IDLE: 10, USED: 8}
#: Each way to drive a move, in words; bare QMP is driven in the same two.
WAYS = {Way.COMMAND: "the whole command", Way.HERE: "in process"}


def run(*, quick: bool) -> Report:
    """Measure both guests' moves, to and fro, in turn."""
    if shutil.which("qemu-system-x86_64") is None:
        raise AbsentError("qemu", "qemu-system-x86_64 is not installed")
    try:
        guest = build()
    except BuildError as error:
        raise AbsentError("qemu", f"the test guest cannot be built: {error}") from error
    report = Report("migrate", f"a guest of {MEMORY_MIB} MiB under TCG, moved to and fro")
    for case, rounds in ROUNDS.items():
        with _folder() as root:
            run_case = _run(root, case, guest.kernel, guest.cmdline, 1 if quick else rounds)
            samples, commits = asyncio.run(run_case)
        _add(report, case, samples, commits)
    return report


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """Make a folder on a disk, under a name short enough for Unix sockets."""
    root = Path(tempfile.mkdtemp(prefix="dwb-", dir="/var/tmp"))
    try:
        yield root
    finally:
        shutil.rmtree(root)


Samples = dict[str, list[float]]


async def _run(
    root: Path, case: Case, kernel: Path, cmdline: str, rounds: int
) -> tuple[Samples, int]:
    """Return what was measured, and how many commits lie in a stand-still."""
    ours, theirs = Domwarden(root, case), Bare(root, case)
    movers: dict[str, Mover] = {"domwarden": ours, "bare": theirs}
    for mover in movers.values():
        mover.write(kernel, cmdline)
    async with contextlib.AsyncExitStack() as end:
        for mover in movers.values():
            end.push_async_callback(mover.stop)
        end.enter_context(services(ours.folder))
        ears = Ears([mover.directory(host) for mover in movers.values() for host in "ab"])
        end.callback(ears.close)
        await ours.start()
        await theirs.start(ours)
        # Both once before it counts; it also shows how an incoming QEMU is started.
        begun = time.time()
        await ours.move(Way.HERE)
        within = ours.commits_between(*ears.blackout(ours.source, ours.destination, begun))
        theirs.argv = theirs.learn(ours)
        await theirs.move(Way.COMMAND)
        uptimes = {name: float(await mover.ask("uptime")) for name, mover in movers.items()}
        begun = time.monotonic()
        samples = await _measure(movers, ears, rounds, within)
        elapsed = time.monotonic() - begun
        for name, mover in movers.items():
            uptime = float(await mover.ask("uptime"))
            if uptime < uptimes[name] + 0.5 * elapsed:
                raise RuntimeError(
                    f"the {name} guest was not up all the time: {uptimes[name]:.0f} s, and after"
                    f" {elapsed:.0f} s more {uptime:.0f} s; {mover.told()}"
                )
    return samples, within


async def _measure(movers: dict[str, Mover], ears: Ears, rounds: int, commits: int) -> Samples:
    samples: Samples = collections.defaultdict(list)
    contenders = {f"{way} domwarden": (way, movers["domwarden"]) for way in WAYS}
    contenders |= {f"{way} bare": (way, movers["bare"]) for way in WAYS}
    folders = [movers["domwarden"].folder / host for host in "ab"]
    for order in turns([*contenders, "commits"], rounds):
        for contender in order:
            if contender == "commits":
                await calm()
                samples[contender].append(commit_seconds(folders, commits))
                continue
            way, mover = contenders[contender]
            begun = time.time()
            total = await mover.move(way)
            stopped, resumed = ears.blackout(mover.source, mover.destination, begun)
            samples[f"{contender} total"].append(total)
            samples[f"{contender} blackout"].append(resumed - stopped)
            if way is not Way.HERE:
                continue
            parts = {**mover.parts, "between these": total - sum(mover.parts.values())}
            for part, seconds in parts.items():
                samples[f"{mover.FOLDER} part {part}"].append(seconds)
            if isinstance(mover, Domwarden):
                within = mover.commits_between(stopped, resumed)
                if within != commits:
                    raise RuntimeError(f"{within} commits while the guest stood, before {commits}")
                samples["commits in all"].append(len(mover.commits))
    return samples


def _add(report: Report, case: Case, samples: Samples, commits: int) -> None:
    costs = statistics.median(samples["commits"])
    for way, words in WAYS.items():
        for kind, what in (("total", "total"), ("blackout", "STOP to RESUME")):
            ours = samples[f"{way} domwarden {kind}"]
            theirs = samples[f"{way} bare {kind}"]
            what = f"{case.what}: {what}"
            shown = report.add(
                f"{what}, domwarden, {words}", "ms", ours, scale=1e3, peer=("bare QMP", theirs)
            )
            report.add(f"{what}, bare QMP, {words}", "ms", theirs, scale=1e3)
            over = [mine - peer for mine, peer in zip(ours, theirs, strict=True)]
            said = f"{what} by {words}: {statistics.median(over) * 1e3:.0f} ms more than bare QMP"
            report.notes.append(said)
            if kind == "total":
                if case is USED and shown.ratio is not None:
                    found = shown.ratio.median
                    goal = Goal(f"{what} by {words}, to bare", "times", found, GOAL_TOTAL)
                    report.goals.append(goal)
                continue
            limit = (statistics.median(theirs) + costs) * 1e3 * GOAL_BLACKOUT
            report.goals.append(Goal(f"{what} by {words}", "ms", shown.spread.median, limit))
    report.add(
        f"{case.what}: the {commits} durable commits alone", "ms", samples["commits"], scale=1e3
    )
    all_of_them = statistics.median(samples["commits in all"])
    report.notes.append(
        f"{case.what}: {all_of_them:.0f} commits a move, {commits} of them while it stands"
    )
    for folder, name in ((Domwarden.FOLDER, "domwarden"), (Bare.FOLDER, "bare QMP")):
        begin = f"{folder} part "
        parts = [
            f"{key.removeprefix(begin)} {statistics.median(values) * 1e3:.1f}"
            for key, values in samples.items()
            if key.startswith(begin)
        ]
        said = f"{case.what}: parts of {name} in process, median ms: {', '.join(parts)}"
        report.notes.append(said)

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
from .mover import MEMORY_MIB, Mover
from .report import Goal, Report
from .sampling import turns

#: Total, and STOP to RESUME beyond the peer's and the commits', as shares of the peer's.
GOAL_TOTAL = 1.10
GOAL_BLACKOUT = 1.25
ROUNDS = 16
#: Each way to drive a move: by a process of its own (what the command line does), or by the caller.
WAYS = {"apart": "a process of its own", "here": "in process"}


def run(*, quick: bool) -> Report:
    """Measure both guests' moves, to and fro, in turn."""
    if shutil.which("qemu-system-x86_64") is None:
        raise AbsentError("qemu", "qemu-system-x86_64 is not installed")
    try:
        guest = build()
    except BuildError as error:
        raise AbsentError("qemu", f"the test guest cannot be built: {error}") from error
    with _folder() as root:
        return asyncio.run(_run(root, guest.kernel, guest.cmdline, 2 if quick else ROUNDS))


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """Make a folder on a disk, under a name short enough for Unix sockets."""
    root = Path(tempfile.mkdtemp(prefix="dwb-", dir="/var/tmp"))
    try:
        yield root
    finally:
        shutil.rmtree(root)


async def _run(root: Path, kernel: Path, cmdline: str, rounds: int) -> Report:
    ours, theirs = Domwarden(root), Bare(root)
    movers: dict[str, Mover] = {"domwarden": ours, "bare": theirs}
    for mover in movers.values():
        mover.write(kernel, cmdline)
    async with contextlib.AsyncExitStack() as end:
        ears = Ears([mover.directory(host) for mover in movers.values() for host in "ab"])
        end.callback(ears.close)
        for mover in movers.values():
            end.push_async_callback(mover.stop)
        await ours.start()
        await theirs.start(ours)
        # Both once before it counts; it also shows how an incoming QEMU is started.
        begun = time.time()
        await ours.move(apart=False)
        within = ours.commits_between(*ears.blackout(ours.source, ours.destination, begun))
        theirs.argv = theirs.learn(ours)
        await theirs.move(apart=True)
        uptimes = {name: float(await mover.ask("uptime")) for name, mover in movers.items()}
        begun = time.monotonic()
        samples = await _measure(movers, ears, rounds, within)
        elapsed = time.monotonic() - begun
        for name, mover in movers.items():
            if float(await mover.ask("uptime")) < uptimes[name] + 0.5 * elapsed:
                raise RuntimeError(f"the {name} guest was not up all the time")
    return _report(samples, within)


Samples = dict[str, list[float]]


async def _measure(movers: dict[str, Mover], ears: Ears, rounds: int, commits: int) -> Samples:
    samples: Samples = collections.defaultdict(list)
    contenders = {f"{way} {name}": (way, mover) for name, mover in movers.items() for way in WAYS}
    folders = [movers["domwarden"].folder / host for host in "ab"]
    for order in turns([*contenders, "commits"], rounds):
        for contender in order:
            await calm()
            if contender == "commits":
                samples[contender].append(commit_seconds(folders, commits))
                continue
            way, mover = contenders[contender]
            begun = time.time()
            total = await mover.move(apart=way == "apart")
            stopped, resumed = ears.blackout(mover.source, mover.destination, begun)
            samples[f"{contender} total"].append(total)
            samples[f"{contender} blackout"].append(resumed - stopped)
            if way == "apart":
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


def _report(samples: Samples, commits: int) -> Report:
    report = Report("migrate", f"a guest of {MEMORY_MIB} MiB under TCG, moved to and fro")
    costs = statistics.median(samples["commits"])
    for way, words in WAYS.items():
        for kind, what in (("total", "total"), ("blackout", "STOP to RESUME")):
            ours, theirs = (samples[f"{way} {name} {kind}"] for name in ("domwarden", "bare"))
            shown = report.add(
                f"{what}, domwarden, {words}", "ms", ours, scale=1e3, peer=("bare QMP", theirs)
            )
            peer = report.add(f"{what}, bare QMP, {words}", "ms", theirs, scale=1e3)
            if kind == "total" and shown.ratio is not None:
                goal = Goal(f"total by {words}, to bare", "times", shown.ratio.median, GOAL_TOTAL)
            else:
                limit = (peer.spread.median + costs * 1e3) * GOAL_BLACKOUT
                goal = Goal(f"STOP to RESUME by {words}", "ms", shown.spread.median, limit)
            report.goals.append(goal)
    report.add(f"the {commits} durable commits alone", "ms", samples["commits"], scale=1e3)
    all_of_them = statistics.median(samples["commits in all"])
    report.notes.append(f"{all_of_them:.0f} commits a move, {commits} of them while it stands")
    for folder, name in ((Domwarden.FOLDER, "domwarden"), (Bare.FOLDER, "bare QMP")):
        begin = f"{folder} part "
        parts = [
            f"{key.removeprefix(begin)} {statistics.median(values) * 1e3:.1f}"
            for key, values in samples.items()
            if key.startswith(begin)
        ]
        report.notes.append(f"parts of {name} in process, median ms: {', '.join(parts)}")
    return report

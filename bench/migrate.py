"""A real guest's migration, whole, beside the same migration in bare QMP."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import json
import os
import select
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.testbeds.guest.build import build
from tests.testbeds.guest.packages import BuildError

from . import recorder
from .absent import AbsentError
from .calm import calm
from .commits import commit_seconds
from .movers import MEMORY_MIB, Bare, Domwarden, Mover
from .report import Goal, Report
from .sampling import turns

#: Total, and STOP to RESUME beyond the peer's and the commits', as shares of the peer's.
GOAL_TOTAL = 1.10
GOAL_BLACKOUT = 1.25
ROUNDS = 16
#: Each way to drive a move: by a process of its own (what the command line does), or by the caller.
WAYS = {"apart": "a process of its own", "here": "in process"}


class Recorder:
    """The process that hears every QEMU of both guests."""

    def __init__(self, directories: Sequence[Path]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", recorder.__file__, *map(str, directories)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._heard: list[dict[str, Any]] = []
        self._rest = b""

    def blackout(self, source: Path, destination: Path, begun: float) -> tuple[float, float]:
        """Return when the guest stopped there and resumed here, in a move begun at that time."""
        limit = time.monotonic() + 10
        while True:
            resumed = self._times("RESUME", destination, begun)
            stopped = [at for at in self._times("STOP", source, begun) if at < max(resumed, default=0)]
            if stopped:
                # A look at the watchdog's timer stops the guest for a moment too, but earlier.
                return stopped[-1], next(at for at in resumed if at > stopped[-1])
            if time.monotonic() > limit:
                raise RuntimeError(f"no STOP and RESUME were heard, only {self._heard[-6:]}")
            self._read()

    def _times(self, event: str, directory: Path, begun: float) -> list[float]:
        wanted = {"directory": str(directory), "event": event}
        return [
            said["at"] for said in self._heard if said["at"] > begun and wanted.items() <= said.items()
        ]

    def _read(self) -> None:
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        ready, _, _ = select.select([descriptor], [], [], 1.0)
        if ready:
            data = os.read(descriptor, 65536)
            if not data:
                raise RuntimeError("the recorder died")
            *lines, self._rest = (self._rest + data).split(b"\n")
            self._heard += [json.loads(line) for line in lines]

    def close(self) -> None:
        """End it."""
        self._process.communicate(timeout=10)


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
    ears = Recorder([mover.directory(host) for mover in movers.values() for host in "ab"])
    try:
        await ours.start()
        await theirs.start(ours)
        await ours.move(apart=True)
        theirs.argv = theirs.learn(ours)  # how an incoming QEMU is started
        await theirs.move(apart=True)
        uptimes = {name: float(await mover.ask("uptime")) for name, mover in movers.items()}
        begun = time.monotonic()
        samples = await _measure(movers, ears, rounds)
        elapsed = time.monotonic() - begun
        for name, mover in movers.items():
            if float(await mover.ask("uptime")) < uptimes[name] + 0.5 * elapsed:
                raise RuntimeError(f"the {name} guest was not up all the time")
    finally:
        ears.close()
        for mover in movers.values():
            await mover.stop()
    return _report(samples)


Samples = dict[str, list[float]]


async def _measure(movers: dict[str, Mover], ears: Recorder, rounds: int) -> Samples:
    samples: Samples = collections.defaultdict(list)
    for way, words in WAYS.items():
        print(f"migrate: by {words}", file=sys.stderr)
        for order in turns(list(movers), rounds):
            for name in order:
                mover = movers[name]
                places = mover.directory(mover.host), mover.directory(mover.other)
                await calm()
                begun = time.time()
                total = await mover.move(apart=way == "apart")
                stopped, resumed = ears.blackout(*places, begun)
                samples[f"{way} {name} total"].append(total)
                samples[f"{way} {name} blackout"].append(resumed - stopped)
                if way == "here":
                    _look_inside(mover, stopped, resumed, samples)
    return samples


def _look_inside(mover: Mover, stopped: float, resumed: float, samples: Samples) -> None:
    parts = mover.parts
    for part, seconds in parts.items():
        samples[f"{mover.FOLDER} part {part}"].append(seconds)
    if isinstance(mover, Domwarden):
        within = sum(stopped < at < resumed for at in mover.commits)
        samples["commits within"].append(within)
        samples["commits"].append(len(mover.commits))
        # The same number again, at once and where the journals are.
        folders = [mover.folder / "a", mover.folder / "b"]
        samples["commit cost"].append(commit_seconds(folders, within))


def _report(samples: Samples) -> Report:
    report = Report("migrate", f"a guest of {MEMORY_MIB} MiB under TCG, moved to and fro")
    costs = statistics.median(samples["commit cost"])
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
    within, all_of_them = (statistics.median(samples[n]) for n in ("commits within", "commits"))
    report.add(f"{within:.0f} durable commits alone", "ms", samples["commit cost"], scale=1e3)
    report.notes.append(f"{all_of_them:.0f} commits a move, {within:.0f} of them while it stands")
    for folder, name in ((Domwarden.FOLDER, "domwarden"), (Bare.FOLDER, "bare QMP")):
        begin = f"{folder} part "
        parts = [
            f"{key.removeprefix(begin)} {statistics.median(values) * 1e3:.1f}"
            for key, values in samples.items()
            if key.startswith(begin)
        ]
        report.notes.append(f"parts of {name} in process, median ms: {', '.join(parts)}")
    return report

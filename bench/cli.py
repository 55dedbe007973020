"""The processor time that a command line costs before it does anything."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from .report import Goal, Report
from .sampling import interleaved

GOAL_SECONDS = 0.150


def run(*, quick: bool) -> Report:
    """Measure ``domwarden --help`` beside the bare interpreter and one that imports click."""
    command = str(Path(sys.executable).with_name("domwarden"))
    contenders = {
        "domwarden --help": [command, "--help"],
        "python -c pass": [sys.executable, "-c", "pass"],
        "python -c 'import click'": [sys.executable, "-c", "import click"],
    }
    for argv in contenders.values():
        child_seconds(argv)  # byte code and caches are everybody's
    samples = interleaved(
        {name: functools.partial(child_seconds, argv) for name, argv in contenders.items()},
        3 if quick else 30,
    )
    report = Report("cli", "processor time of one command, user and system")
    ours, bare, click = samples.values()
    shown = report.add("domwarden --help", "ms", ours, scale=1e3, peer=("python -c pass", bare))
    report.add("the same", "ms", ours, scale=1e3, peer=("import click", click))
    report.add("python -c pass", "ms", bare, scale=1e3)
    report.add("python -c 'import click'", "ms", click, scale=1e3)
    report.goals.append(Goal("median of --help", "ms", shown.spread.median, GOAL_SECONDS * 1e3))
    return report


def child_seconds(argv: Sequence[str]) -> float:
    """Run a program and return the processor time it used; raises RuntimeError when it fails."""
    null = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1)]
    pid = os.posix_spawn(argv[0], list(argv), os.environ, file_actions=null)
    _, status, usage = os.wait4(pid, 0)
    if status != 0:
        raise RuntimeError(f"{' '.join(argv)} failed with status {status}")
    return usage.ru_utime + usage.ru_stime

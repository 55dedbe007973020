"""Long work shows bars on a terminal, and lines alone elsewhere."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

from domwarden.cli.bars import Bars
from domwarden.cli.progress import line_of
from domwarden.migration import Moment, What

from .test_main import DOMAIN, domwarden


def on_a_terminal(*words: str, cwd: Path) -> tuple[int, str]:
    """Run a verb whose stderr is a terminal; return its exit code and what that showed."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "NO_COLOR": "1"}
    with subprocess.Popen(
        [sys.executable, "-m", "domwarden", *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        cwd=cwd,
        env=environment,
    ) as process:
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # how Linux says that the other end is closed
            while said := os.read(ours, 65536):
                shown += said
        code = process.wait(timeout=60)
    os.close(ours)
    return code, re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())


def start(directory: Path) -> None:
    (directory / "host.yaml").write_text("host: a\nstate: s\n")
    (directory / "web1.yaml").write_text(DOMAIN.format(name="web1"))
    done = domwarden("start", "web1.yaml", "-H", "host.yaml", cwd=directory)
    assert done.returncode == 0, done.stderr


def test_a_graceful_stop_shows_how_long_it_may_take(tmp_path: Path) -> None:
    start(tmp_path)
    words = ("stop", "web1", "--graceful", "2s", "-H", "host.yaml")
    code, shown = on_a_terminal(*words, cwd=tmp_path)
    assert code == 0
    assert "web1: asked to shut down" in shown
    assert "of at most 2 s" in shown
    assert "web1: stopped" in shown


def test_a_graceful_stop_elsewhere_says_only_what_became_of_it(tmp_path: Path) -> None:
    start(tmp_path)
    stopped = domwarden("stop", "web1", "--graceful", "2s", "-H", "host.yaml", cwd=tmp_path)
    assert (stopped.returncode, stopped.stderr) == (0, "web1: stopped\n")


def test_a_wait_fills_its_bar_with_the_time_it_took() -> None:
    bars = Bars()
    now = 0.0
    bars.progress.get_time = lambda: now
    with bars.waiting("the guest boots", 40.0):
        (task,) = bars.progress.tasks
        for now, done in ((0.0, 0.0), (10.0, 10.0), (50.0, 40.0)):  # noqa: B007 - read by get_time
            with bars.progress.console.capture():
                bars.progress.console.print(bars.progress.get_renderable())
            assert task.completed == done
    assert bars.progress.tasks == []


def test_a_job_that_reports_has_a_bar_of_its_own() -> None:
    bars = Bars()
    for done in (1, 3):
        report = Moment(
            0.0, What.REPORT, "web1", step="prepare", device="root", data={"done": done, "total": 4}
        )
        assert line_of(report.as_json()) == ""
        bars.hear(report)
    (task,) = bars.progress.tasks
    assert (task.description, task.completed, task.total) == ("root prepare", 3, 4)

"""Progress bars on a terminal."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from rich.progress import BarColumn, Progress, Task, TaskID, TextColumn, TimeElapsedColumn
from rich.progress_bar import ProgressBar

from domwarden.cli.output import console
from domwarden.cli.progress import Lines
from domwarden.migration import Moment, What


def rate(bytes_per_second: float | None) -> str:
    """Write a rate for people."""
    return "" if bytes_per_second is None else f"{bytes_per_second / 2**20:.0f} MiB/s"


class _Elapsing(BarColumn):
    """A bar that fills with the time that its task may take, where that is all one knows."""

    def render(self, task: Task) -> ProgressBar:
        """Draw the bar as of now."""
        limit_seconds = task.fields.get("limit_seconds")
        if limit_seconds is not None:
            task.completed = min(task.elapsed or 0.0, limit_seconds)
        return super().render(task)


class Bars(Lines):
    """One bar for pre-copy, one for each device job that reports, one for a wait."""

    def __init__(self) -> None:
        self.progress = Progress(
            TextColumn("{task.description}"),
            _Elapsing(),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[facts]}"),
            TimeElapsedColumn(),
            console=console(stderr=True),
            transient=True,
        )
        self._tasks: dict[str, TaskID] = {}

    def say(self, line: str) -> None:
        """Tell one line, above the bars."""
        self.progress.console.print(line, markup=False)

    @contextlib.contextmanager
    def waiting(self, what: str, limit_seconds: float) -> Iterator[None]:
        """Show a bar of how much of its longest time a wait has taken."""
        facts = f"of at most {limit_seconds:g} s"
        task = self.progress.add_task(
            what, total=limit_seconds, facts=facts, limit_seconds=limit_seconds
        )
        try:
            yield
        finally:
            self.progress.remove_task(task)

    def hear(self, moment: Moment) -> None:
        """Move the bar that the moment is about."""
        if moment.what is What.PROGRESS:
            data = moment.data
            total = data.get("total_bytes") or 0
            left = data.get("time_left_seconds")
            dirty = rate(data.get("dirty_rate_bytes_per_second"))
            facts = [rate(data.get("rate_bytes_per_second")), f"dirties {dirty}" if dirty else ""]
            facts.append(f"{left:.1f} s left" if left is not None else "")
            done = total - (data.get("remaining_bytes") or 0)
            self._move("pre-copy", done, total, ", ".join(fact for fact in facts if fact))
        elif moment.what is What.REPORT:
            data = moment.data
            name = f"{moment.device} {moment.step}"
            self._move(name, data.get("done"), data.get("total"), moment.detail)

    def _move(self, name: str, done: Any, total: Any, facts: str) -> None:
        if name not in self._tasks:
            self._tasks[name] = self.progress.add_task(name, total=None, facts="")
        self.progress.update(self._tasks[name], completed=done or 0, total=total, facts=facts)

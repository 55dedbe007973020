"""Where a process of the two hosts is stopped: the test's half of ``held/sitecustomize.py``."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from domwarden.migration.crash import KNOWN_POINTS

#: How long a move may take until it is at a point.
REACHED_SECONDS = 90.0


class Points:
    """One point at a time; whoever comes to it first is held there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir()

    @property
    def environment(self) -> Mapping[str, str]:
        """What a process needs in its environment to be held."""
        # What the second one says is at no point; without it nobody would look for one.
        return {
            "PYTHONPATH": str(Path(__file__).parent / "held"),
            "DOMWARDEN_TEST_POINTS": str(self._folder),
            "DOMWARDEN_CRASH_AT": "held",
        }

    def want(self, point: str) -> None:
        """Have the next process that comes to that point held there."""
        (self._folder / "wanted").write_text(KNOWN_POINTS.get(point, point))

    @contextlib.contextmanager
    def held(self) -> Iterator[int]:
        """Wait until somebody is held, give its pid, and let it go afterwards."""
        held = self._folder / "held"
        deadline = time.monotonic() + REACHED_SECONDS
        while not held.exists():
            assert time.monotonic() < deadline, "the move did not come to its point"
            time.sleep(0.001)
        try:
            yield int(held.read_text())
        finally:
            held.unlink()

    def forget(self) -> None:
        """Hold nobody any more."""
        for name in ("wanted", "held"):
            (self._folder / name).unlink(missing_ok=True)

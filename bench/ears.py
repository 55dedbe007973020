"""What the recorder heard: how long a guest stood still in one move."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import recorder

LIMIT_SECONDS = 10.0


class Ears:
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
        limit = time.monotonic() + LIMIT_SECONDS
        while True:
            resumed = self._times("RESUME", destination, begun)
            stopped = [
                at for at in self._times("STOP", source, begun) if at < max(resumed, default=0)
            ]
            if stopped:
                # A look at the watchdog's timer stops the guest for a moment too, but earlier.
                return stopped[-1], next(at for at in resumed if at > stopped[-1])
            if time.monotonic() > limit:
                raise RuntimeError(f"no STOP and RESUME were heard, only {self._heard[-6:]}")
            self._read()

    def _times(self, event: str, directory: Path, begun: float) -> list[float]:
        wanted = {"directory": str(directory), "event": event}
        return [
            said["at"]
            for said in self._heard
            if said["at"] > begun and wanted.items() <= said.items()
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

"""Waiting until what the last measurement left running has ended."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

WINDOW_SECONDS = 0.25
IDLE_SHARE = 0.7
#: A machine that others use may never be idle; then the turns share its load.
LIMIT_SECONDS = 3.0


async def calm(limit_seconds: float = LIMIT_SECONDS) -> None:
    """Return once the processors are mostly idle, or after the limit."""
    until = time.monotonic() + limit_seconds
    while time.monotonic() < until:
        before = _idle_and_all()
        await asyncio.sleep(WINDOW_SECONDS)
        idle, every = (after - then for after, then in zip(_idle_and_all(), before, strict=True))
        if every and idle / every >= IDLE_SHARE:
            return


def _idle_and_all() -> tuple[int, int]:
    """Return clock ticks of all processors (proc(5): user nice system idle iowait ...)."""
    ticks = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    return ticks[3] + ticks[4], sum(ticks)

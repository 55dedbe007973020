"""Tells systemd that the service lives, where systemd started it."""

from __future__ import annotations

import asyncio
import os

from domwarden.guard.talk import tell_systemd

#: systemd wants to hear twice in each WatchdogSec (sd_watchdog_enabled(3)).
TIMES = 2


def interval_seconds() -> float:
    """Return how often systemd wants to hear of this process, 0 where it does not."""
    text = os.environ.get("WATCHDOG_USEC", "")
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return 0.0
    return int(text) / 1e6 / TIMES if text.isascii() and text.isdigit() else 0.0


async def kick() -> None:
    """Tell it for ever, where systemd wants to hear it; an event loop that hangs does not."""
    seconds = interval_seconds()
    while seconds:
        tell_systemd("WATCHDOG=1")
        await asyncio.sleep(seconds)

"""One domain's QMP events in the contract's words."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any

from domwarden.contract import EngineError, Event, EventKind

from . import process
from .arguments import WATCHDOG_ACTIONS
from .files import Files
from .monitor import Monitor
from .record import Record

KINDS: Mapping[str, EventKind] = {
    "WATCHDOG": EventKind.WATCHDOG,
    "RESET": EventKind.RESET,
    "SHUTDOWN": EventKind.SHUTDOWN,
    "STOP": EventKind.PAUSED,
    "RESUME": EventKind.RESUMED,
    "GUEST_PANICKED": EventKind.PANICKED,
}

RECONNECT_SECONDS = 0.3
#: Measured: 0.06 to 0.1 s under TCG.
ECHO_SECONDS = 2.0


def translate(message: Mapping[str, Any], action: str = "") -> Event:
    """Return the event for one QMP message; its time is QEMU's own.

    ``action`` is what the domain's watchdog is set to do, in the contract's words.
    """
    data = dict(message.get("data", {}))
    if message["event"] == "WATCHDOG":
        data["action"] = _action(data.get("action", ""), action)
    stamp = message.get("timestamp", {})
    at = stamp.get("seconds", -1) + stamp.get("microseconds", 0) / 1e6
    kind = KINDS.get(message["event"], EventKind.UNKNOWN)
    # Before QEMU 7 some stamps could be -1: the host clock could not be read.
    return Event(kind, at if at > 0 else time.time(), data)


def _action(word: str, configured: str) -> str:
    """Return the contract's word for QEMU's; the configured one where several share it."""
    names = [str(action) for action, name in WATCHDOG_ACTIONS.items() if name == word]
    return configured if configured in names or not names else names[0]


class Resets:
    """Tells a reset from its echo: SeaBIOS, woken by one, resets the machine once more itself."""

    def __init__(self) -> None:
        self._last = float("-inf")

    def echo(self, event: Event) -> bool:
        """Say whether this is a reset by the guest right after one that was reported."""
        if event.kind is not EventKind.RESET:
            return False
        if event.data.get("guest") and event.at - self._last < ECHO_SECONDS:
            return True
        self._last = event.at
        return False


async def follow(
    files: Files, monitor: Monitor, sampled: Callable[[Event], bool]
) -> AsyncGenerator[Event, None]:
    """Yield events until the process is gone, then GONE.

    ``sampled`` says of a PAUSED or RESUMED that our own look at the watchdog made it.  A lost
    connection is made again as long as the process lives.
    """
    record = Record.load(files.record)
    resets = Resets()
    while record is not None and process.alive(record, files.pidfile) is not None:
        try:
            # A hung QEMU gives no greeting; it may wake, so only its death ends this.
            async with monitor.session() as session, session.listen(*KINDS) as messages:
                async for message in messages:
                    event = translate(message, record.watchdog_action)
                    if not sampled(event) and not resets.echo(event):
                        yield event
        except EngineError:
            # QEMU closes its sockets a moment before the kernel sees it end.
            await process.ended(record, files.pidfile, RECONNECT_SECONDS)
    words = process.last_words(files.log, record.log_offset) if record is not None else ""
    yield Event(EventKind.GONE, time.time(), {"detail": words})

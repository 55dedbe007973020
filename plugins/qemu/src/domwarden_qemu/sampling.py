"""Looking at the watchdog card's timer from outside the guest."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import time
from collections.abc import Generator

from domwarden.contract import Event, EventKind, Reading

from .devicestate import read_watchdog
from .files import Files
from .monitor import Monitor
from .observe import UNDER_WAY

_REMEMBERED = 64
#: Measured at 3 ms; the file is 200 KB.
TIMEOUT_SECONDS = 5.0
_UNREADABLE = frozenset({"inmigrate", "postmigrate", "finish-migrate", "prelaunch"})


class Samples:
    """The spans of Unix time in which we stopped the guest ourselves."""

    def __init__(self) -> None:
        self._spans: collections.deque[list[float]] = collections.deque(maxlen=_REMEMBERED)

    @contextlib.contextmanager
    def taking(self) -> Generator[None]:
        """Remember one look; its events may be heard before it has ended."""
        span = [time.time(), float("inf")]
        self._spans.append(span)
        try:
            yield
        finally:
            span[1] = time.time()

    def made(self, event: Event) -> bool:
        """Say whether a look of ours, not somebody else, made this event."""
        if event.kind not in (EventKind.PAUSED, EventKind.RESUMED):
            return False
        return any(begin <= event.at <= end for begin, end in self._spans)


async def read(files: Files, control: Monitor, samples: Samples) -> Reading:
    """Save the devices' state without the memory, and read the card's timer in it.

    ``xen-save-devices-state`` (qapi/migration.json) works on any guest; it stops a running one for
    about 2 ms.  During a move it would disturb QEMU's own, so then nothing is known.  Nor is
    anything while a device blocks migration: QEMU 7.2 crashes when it saves one that declares no
    state at all (``nvme``), and no reading is worth a guest.  None may be plugged in between the
    question and the save.
    """
    async with control.plugging, control.session(linger=True) as session:
        migration = await session.execute("query-migrate")
        status = await session.execute("query-status")
        if migration.get("status") in UNDER_WAY or status["status"] in _UNREADABLE:
            return Reading()
        if migration.get("blocked-reasons"):
            return Reading()
        # Not "live": of a paused guest QEMU would then inactivate the disks, which lets go of their
        # locks, and die of an assertion the second time.
        arguments = {"filename": str(files.devicestate), "live": False}
        with samples.taking():
            await session.execute(
                "xen-save-devices-state", arguments, timeout_seconds=TIMEOUT_SECONDS
            )
    return read_watchdog(await asyncio.to_thread(files.devicestate.read_bytes))

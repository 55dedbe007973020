"""Ending one QEMU process and seeing its remains gone."""

from __future__ import annotations

import contextlib
import signal

from domwarden.contract import EngineError

from . import process
from .files import Files
from .launch import kill
from .monitor import Monitor
from .record import Record

#: QEMU writes out what its guest wrote to its disks first.
QUIT_TIMEOUT_SECONDS = 15.0


async def stop(files: Files, control: Monitor, graceful_seconds: float) -> None:
    """Ask the guest (ACPI), then QEMU (SIGTERM, its ``quit``), then the kernel; idempotent."""
    record = Record.load(files.record)
    if record is None:
        files.remove()
        return
    if graceful_seconds > 0:
        with contextlib.suppress(EngineError):
            await control.execute("system_powerdown", timeout_seconds=2.0)
            await process.ended(record, files.pidfile, graceful_seconds)
    if process.send_signal(record, files.pidfile, signal.SIGTERM):
        await process.ended(record, files.pidfile, QUIT_TIMEOUT_SECONDS)
    await kill(files, record)
    files.remove()


async def discard(files: Files, migration: str) -> None:
    """Destroy what that migration made here, unless it was activated; idempotent."""
    record = Record.load(files.record)
    if record is None or record.migration != migration:
        return  # what another migration made, or an operator started, is not ours to remove
    if record.activated:
        raise EngineError(f"{files.name}: this copy was activated and is not discarded")
    # It never ran, so it has nothing to put in order: the certain way is the best one.
    await kill(files, record)
    files.remove()

"""Ending a domain and seeing its remains gone."""

from __future__ import annotations

import asyncio
import time

from domwarden.contract import EngineError, EventKind

from . import finding, moving, notes
from .files import Files
from .record import Record
from .xl import POWEROFF, Row, Xl

_LOOK_SECONDS = 0.5
#: Taking apart a large guest takes Xen some seconds, after xl's own end too.
GONE_SECONDS = 30.0


async def stop(files: Files, xl: Xl, graceful_seconds: float) -> None:
    """Ask the guest, then destroy every copy of the domain here; idempotent."""
    record = Record.load(files.record)
    if record is None:
        files.remove()
        return
    await moving.conclude(files, xl, record)
    if graceful_seconds > 0:
        await _ask(files, xl, record, graceful_seconds)
    deadline = time.monotonic() + GONE_SECONDS
    while copies := await _copies(files, xl, record):
        for row in copies:
            if not row.dying:
                await _destroy(xl, row)
        if time.monotonic() > deadline:
            raise EngineError(
                f"{files.name}: domain {copies[0].domid} outlives its end",
                hint="another domain holds some of its memory; look at xl list and xl dmesg",
            )
        if await _copies(files, xl, record):
            await asyncio.sleep(_LOOK_SECONDS)
    files.remove()


async def _copies(files: Files, xl: Xl, record: Record) -> list[Row]:
    return finding.ours(await xl.rows(), files.name, record.uuid)


async def _destroy(xl: Xl, row: Row) -> None:
    try:
        await xl.destroy(row.domid)
    except EngineError:
        # xl says no of a domain that its monitor destroyed in this moment, too: what counts is
        # whether it is still there.
        if any(left.domid == row.domid for left in await xl.rows()):
            raise


async def _ask(files: Files, xl: Xl, record: Record, seconds: float) -> None:
    """Ask the guest to shut down and wait that long; a hung one ignores it."""
    deadline = time.monotonic() + seconds
    row = await finding.find(files, xl, record)
    if row is None or row.shut_down or row.paused:
        return
    try:
        await xl.shutdown(row.domid)
    except EngineError:
        return  # a guest without a driver for it cannot be asked
    while time.monotonic() < deadline:
        seen = await finding.find(files, xl, record)
        if seen is None or seen.domid != row.domid or (seen.shut_down and seen.reason == POWEROFF):
            notes.note(files, EventKind.SHUTDOWN, row.domid)
            return
        await asyncio.sleep(min(_LOOK_SECONDS, max(0.0, deadline - time.monotonic())))

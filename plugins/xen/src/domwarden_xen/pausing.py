"""Stopping a domain's processors and letting them run, whatever stopped them."""

from __future__ import annotations

import asyncio
import dataclasses
import time

from domwarden.contract import EngineError, EventKind

from . import finding, libxl, notes
from .files import Files
from .xl import SUSPEND, Row, Xl

#: Xen counts how often a domain was paused, so one unpause may not be enough.
_UNPAUSES = 16
#: From the command to a domain that shows what it did.
SEEN_SECONDS = 10.0
_LOOK_SECONDS = 0.1


async def pause(files: Files, xl: Xl) -> None:
    """Stop the processors; one that is stopped already stays so."""
    _, row = await finding.required(files, xl)
    if row.paused or row.shut_down:
        return
    await xl.pause(row.domid)
    notes.note(files, EventKind.PAUSED, row.domid)


async def resume(files: Files, xl: Xl) -> None:
    """Let it run, and see it; raises EngineError for a copy that does not own the domain.

    An incoming copy runs by ``activate`` alone, and one whose move is complete by nobody.
    """
    record, row = await finding.required(files, xl)
    if not record.activated:
        raise EngineError(f"{files.name}: it has not been granted to this host")
    if record.leaving or record.departed:
        raise EngineError(
            f"{files.name}: its move to another host is not given up",
            hint="domwarden recover settles it",
        )
    if not row.paused and not row.shut_down:
        return
    await run(xl, row)
    if not record.ran:
        dataclasses.replace(record, ran=True).save(files.record)
    notes.note(files, EventKind.RESUMED, row.domid)


async def run(xl: Xl, row: Row) -> None:
    """Make a stopped domain run, and see it run; raises EngineError."""
    if row.shut_down:
        # xl has no command for it: its unpause exits 0 on such a domain and does nothing.  One
        # that suspended itself is told that it was cancelled; one whose watchdog expired just
        # goes on (XEN_DOMCTL_resumedomain), which a pv guest cannot.
        await libxl.resume(row.domid, cooperative=row.reason == SUSPEND)
    deadline = time.monotonic() + SEEN_SECONDS
    for _ in range(_UNPAUSES):
        seen = await _look(xl, row.domid)
        if not seen.paused and not seen.shut_down:
            return
        if seen.paused:
            await xl.unpause(row.domid)
        elif time.monotonic() > deadline:
            break
        else:
            await asyncio.sleep(_LOOK_SECONDS)
    raise EngineError(f"{row.name}: it does not run although it was told to ({row.flags})")


async def _look(xl: Xl, domid: int) -> Row:
    for row in await xl.rows():
        if row.domid == domid and not row.dying:
            return row
    raise EngineError(f"domain {domid} is gone")

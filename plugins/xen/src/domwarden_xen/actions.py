"""What a watchdog's action does to a domain, done by us instead of by xl's monitor."""

from __future__ import annotations

import datetime
from collections.abc import Awaitable, Callable

from domwarden.contract import Action, EventKind

from . import finding, notes, pausing, resetting
from .files import Files
from .record import Record
from .xl import WATCHDOG, Row, Xl

DUMP_FLOOR_SECONDS = 60.0
#: Slower than any disk that should hold dumps.
DUMP_BYTES_PER_SECOND = 20 * 1024**2

Performer = Callable[[Files, Xl, Record, Row], Awaitable[None]]


async def act(files: Files, xl: Xl, action: Action) -> None:
    """Perform the action; raises EngineError.  Hold the domain's lock."""
    performers: dict[Action, Performer] = {
        Action.RESET: _reset,
        Action.POWEROFF: _poweroff,
        Action.SHUTDOWN: _shutdown,
        Action.PAUSE: _pause,
        Action.DUMP: dump,
        Action.NMI: _nmi,
        Action.NOTIFY: _wake,
    }
    record, row = await finding.required(files, xl)
    resetting.check(files, record, row)
    await performers[action](files, xl, record, row)


async def _reset(files: Files, xl: Xl, record: Record, row: Row) -> None:
    await resetting.restart(files, xl, record, row)


async def _poweroff(_files: Files, xl: Xl, _record: Record, row: Row) -> None:
    await xl.destroy(row.domid)


async def _shutdown(files: Files, xl: Xl, record: Record, row: Row) -> None:
    await _wake(files, xl, record, row)
    await xl.shutdown(row.domid)


async def _pause(files: Files, xl: Xl, _record: Record, _row: Row) -> None:
    await pausing.pause(files, xl)  # an expiry has stopped it already


async def _nmi(files: Files, xl: Xl, record: Record, row: Row) -> None:
    await xl.trigger(row.domid, "nmi")  # it waits in a domain that does not run
    await _wake(files, xl, record, row)


async def _wake(files: Files, xl: Xl, _record: Record, row: Row) -> None:
    """Let a domain go on that its own expired watchdog has shut down."""
    if row.shut_down and row.reason == WATCHDOG:
        await pausing.run(xl, row)
        notes.note(files, EventKind.RESUMED, row.domid)


async def dump(files: Files, xl: Xl, record: Record, row: Row) -> None:
    """Pause, write the memory, make it again; it comes back even when no dump can be written."""
    if not row.shut_down and not row.paused:
        await xl.pause(row.domid)
    try:
        files.dumps.mkdir(mode=0o700, parents=True, exist_ok=True)
        now = datetime.datetime.now(datetime.UTC)
        path = files.dumps / f"{files.name}-{now:%Y%m%dT%H%M%S.%fZ}.core"
        limit = DUMP_FLOOR_SECONDS + row.memory_mib * 2**20 / DUMP_BYTES_PER_SECOND
        await xl.dump_core(row.domid, str(path), limit)
    finally:
        await resetting.restart(files, xl, record, row)

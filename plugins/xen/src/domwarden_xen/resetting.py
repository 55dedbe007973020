"""A reset on Xen: the domain is taken apart and made again from the configuration it had.

Xen has no reset button for its guests: ``xl trigger DOMAIN reset`` is not implemented there, and
``xl reboot`` only asks.  xl's own ``restart`` does the same; uuid, name and devices stay, the domid
does not.
"""

from __future__ import annotations

import dataclasses

from domwarden.contract import EngineError, EventKind, OutcomeUnknownError

from . import finding, notes
from .files import Files
from .record import Record
from .xl import Row, Xl


def check(files: Files, record: Record, row: Row) -> None:
    """Raise EngineError for a copy about which a move decides."""
    if not record.activated or record.leaving or record.departed or row.name != files.name:
        raise EngineError(f"{files.name}: it is moving to another host: not reset here")


async def restart(files: Files, xl: Xl, record: Record, row: Row | None) -> int:
    """Make the domain again and let it run; returns its new domid.  Hold the domain's lock.

    Where it fails half-way, the record says that the domain is owed.
    """
    if row is not None:
        await _take_apart(files, xl, record, row)
    await xl.create(str(files.config), files.environment, held=True)
    made = await finding.find(files, xl, record)
    if made is None:
        raise EngineError(f"{files.name}: xl made it again, and it is not there")
    # The note comes first: whoever looks and sees the new domid finds it explained.
    notes.note(files, EventKind.RESET, made.domid)
    fresh = dataclasses.replace(record, ran=True, migration="", received=False)
    dataclasses.replace(fresh, replaced=-1, failures=0).save(files.record)
    await xl.unpause(made.domid)
    return made.domid


async def _take_apart(files: Files, xl: Xl, record: Record, row: Row) -> None:
    dataclasses.replace(record, replaced=row.domid).save(files.record)
    try:
        await xl.destroy(row.domid)
    except OutcomeUnknownError:
        raise  # it may be gone, and is owed then
    except EngineError:
        record.save(files.record)
        raise


async def reset(files: Files, xl: Xl) -> None:
    """Reset the domain."""
    record, row = await finding.required(files, xl)
    check(files, record, row)
    await restart(files, xl, record, row)

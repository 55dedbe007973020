"""Finding a domain's copies among all that Xen has: domids change, the uuid stays."""

from __future__ import annotations

from collections.abc import Iterable

from domwarden.contract import EngineError

from .files import Files
from .record import Record
from .xl import Row, Xl

#: What xl adds to the name of an incoming copy, then of one that was sent away.
INCOMING, AWAY = "--incoming", "--migratedaway"
#: What xl prints for a domain that has no name: one that was never finished, or half taken apart.
NAMELESS = "(null)"


def names(name: str) -> tuple[str, str, str]:
    """Return what xl calls the copies of a domain of that name."""
    return name, f"{name}{INCOMING}", f"{name}{AWAY}"


def ours(rows: Iterable[Row], name: str, uuid: str) -> list[Row]:
    """Return the copies of the domain, the one with its plain name first, half-made ones last."""
    called = (*names(name), NAMELESS)
    copies = [row for row in rows if row.name in called and row.uuid == uuid]
    return sorted(copies, key=lambda row: (called.index(row.name), -row.domid))


async def find(files: Files, xl: Xl, record: Record) -> Row | None:
    """Return the domain's copy with its plain name, or None."""
    found = ours(await xl.rows(), files.name, record.uuid)
    return next((row for row in found if row.name == files.name and not row.dying), None)


async def required(files: Files, xl: Xl) -> tuple[Record, Row]:
    """Return the record and the copy; raises EngineError for a domain that is not here."""
    record = Record.load(files.record)
    if record is None:
        raise EngineError(f"{files.name}: it is not here")
    row = await find(files, xl, record)
    if row is None:
        raise EngineError(f"{files.name}: it has ended")
    return record, row

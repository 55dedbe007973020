"""Letting a paused domain run, whatever paused it."""

from __future__ import annotations

import dataclasses

from domwarden.contract import EngineError

from .files import Files
from .monitor import Monitor
from .record import Record


async def resume(files: Files, control: Monitor) -> None:
    """Run it; raises EngineError for a copy that does not own the domain.

    An incoming copy runs by ``activate`` alone, and one whose move is complete by nobody.
    """
    record = Record.load(files.record)
    if record is None:
        raise EngineError(f"{files.name}: it is not here")
    if not record.activated:
        raise EngineError(f"{files.name}: it has not been granted to this host")
    async with control.session() as session:
        status = (await session.execute("query-status"))["status"]
        if status in ("postmigrate", "finish-migrate") and not record.returned:
            migration = await session.execute("query-migrate")
            if migration.get("status") not in ("failed", "cancelled"):
                raise EngineError(
                    f"{files.name}: its move to another host is not given up",
                    hint="domwarden recover settles it",
                )
        await session.execute("cont")
    if record.returned or not record.ran:
        dataclasses.replace(record, returned=False, ran=True).save(files.record)

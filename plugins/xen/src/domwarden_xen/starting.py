"""Making a copy of a domain, and knowing it from before it exists."""

from __future__ import annotations

import dataclasses
from typing import Any

from domwarden.contract import Definition, EngineError, OutcomeUnknownError

from . import configuration, finding
from .files import Files
from .record import Record, boot_id
from .xl import Xl


def record_of(definition: Definition, made: configuration.Settings, **more: Any) -> Record:
    """Return the record of a copy that is about to be made with that configuration."""
    watchdog = definition.watchdog
    return Record(
        boot_id=boot_id(),
        uuid=definition.uuid,
        watchdog_action=str(watchdog.action) if watchdog is not None else "",
        device_model=configuration.DEVICE_MODEL in made,
        on={key: str(value) for key, value in made.items() if key.startswith("on_")},
        **more,
    )


async def start(files: Files, xl: Xl, record: Record, text: str, *, held: bool) -> None:
    """Make the copy, and see it; nothing is left after a failure that xl owned up to."""
    await _require_free(files, xl, record)
    files.clear()  # remains of a copy that ended
    files.create()
    # Held and unheld alike are made paused: a copy that cannot be seen must not run.
    dataclasses.replace(record, ran=False).save(files.record)
    files.config.write_text(text)
    files.config.chmod(0o600)
    try:
        await xl.create(str(files.config), files.environment, held=True)
        row = await finding.find(files, xl, record)
        if row is None:
            raise EngineError(f"{files.name}: xl made it, and it is not there")
        if not held:
            await xl.unpause(row.domid)
            dataclasses.replace(record, ran=True).save(files.record)
    except OutcomeUnknownError:
        raise  # what there is of it is seen by whoever looks
    except EngineError:
        await _clear(files, xl, record)
        raise


async def _require_free(files: Files, xl: Xl, record: Record) -> None:
    """Raise EngineError where a copy, or what was left of one, or a stranger is in the way."""
    rows = [row for row in await xl.rows() if not row.dying]
    for row in finding.ours(rows, files.name, record.uuid):
        raise EngineError(
            f"{files.name}: a copy is already here (domid {row.domid}, {row.name})",
            hint="stop it first",
        )
    for row in rows:
        if row.name == files.name:
            raise EngineError(
                f"{files.name}: another domain has this name (domid {row.domid}, uuid {row.uuid})",
                hint="rename one of them",
            )


async def _clear(files: Files, xl: Xl, record: Record) -> None:
    """Take away what a failed start left: xl leaves half-made domains at times."""
    for row in finding.ours(await xl.rows(), files.name, record.uuid):
        if not row.dying:
            await xl.destroy(row.domid)
    files.remove()

"""A domain that was to be made again and is not there: it is owed, and made here.

xl's monitor takes a domain apart before it makes it anew, and gives up for good when that fails (a
hotplug script's time-out is enough); we may be killed between the two.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from pathlib import Path

from domwarden.contract import EngineError

from . import aftermath, finding, locking, monitor, resetting
from .files import Files
from .record import Record
from .xl import Xl

logger = logging.getLogger(__name__)

#: How long before each try; after the last one the domain counts as ended.
PAUSES_SECONDS = (0.0, 2.0, 10.0, 30.0, 60.0)


def owed(name: str, record: Record, logs: Path) -> bool:
    """Say whether a domain of which Xen has no copy is still to be made again."""
    if not record.activated or record.leaving or record.departed:
        return False  # a move decides about it
    if record.failures >= len(PAUSES_SECONDS):
        return False
    if record.replaced >= max(0, monitor.newest(logs, name)):
        return True
    end = monitor.unmade(logs, name)
    return end is not None and "restart" in aftermath.wanted(record, end.code)


async def remake(files: Files, xl: Xl, logs: Path) -> bool:
    """Make a domain that is owed, once more if it fails; returns whether it is there then."""
    while (record := Record.load(files.record)) is not None and owed(files.name, record, logs):
        await asyncio.sleep(PAUSES_SECONDS[record.failures])
        try:
            async with locking.changing(files):
                if await _made(files, xl, logs):
                    return True
        except EngineError as error:
            logger.warning("%s: it cannot be made again: %s", files.name, error)
    return False


async def _made(files: Files, xl: Xl, logs: Path) -> bool:
    record = Record.load(files.record)
    if record is None or not owed(files.name, record, logs):
        return False
    # Before anything else: whatever goes wrong from here on has been counted.
    counted = dataclasses.replace(record, failures=record.failures + 1)
    counted.save(files.record)
    if await finding.find(files, xl, record) is not None:
        dataclasses.replace(record, replaced=-1, failures=0).save(files.record)
        return True  # somebody was faster
    for row in finding.ours(await xl.rows(), files.name, record.uuid):
        if not row.dying:
            await xl.destroy(row.domid)  # it was never finished
    logger.info("%s: its restart had failed: it is made again", files.name)
    await resetting.restart(files, xl, counted, None)
    return True

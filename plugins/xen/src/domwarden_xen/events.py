"""Follows one domain: our own deeds, what xl's monitor wrote down, and what Xen shows."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

from domwarden.contract import EngineError, Event, EventKind

from . import aftermath, devicemodel, finding, locking, monitor, notes, remaking
from .files import Files
from .following import CODE, Follower
from .notes import DOMID
from .record import Record, boot_id
from .waking import Waker
from .xl import SUSPEND, Row, Xl


async def follow(files: Files, xl: Xl, logs: Path) -> AsyncGenerator[Event, None]:
    """Yield events until the domain is gone, then GONE.

    Where xl's monitor is gone, or its restart failed, what it should have done is done here, after
    the event was told.
    """
    record = Record.load(files.record)
    if record is not None and record.boot_id == boot_id():
        watch = _Watch(files, xl, logs, record)
        with contextlib.closing(watch.reader):
            async with watch.waker.listening(), watch.device_model():
                async for event in watch.events():
                    yield event
    yield Event(EventKind.GONE, time.time(), {"detail": "Xen has no such domain any more"})


class _Watch:
    """One follower's hands; its memory is in Follower."""

    def __init__(self, files: Files, xl: Xl, logs: Path, record: Record) -> None:
        self.files = files
        self.xl = xl
        self.logs = logs
        self.follower = Follower(record, _reported(files))
        self.reader = notes.Reader(files.notes)
        #: How often a card has fired about which nothing has been done.
        self.fired = 0
        self.waker = Waker(
            lambda: (self.fired, self.reader.size(), monitor.log_signs(logs, files.name))
        )

    def device_model(self) -> contextlib.AbstractAsyncContextManager[None]:
        """Listen to the device model, where there is one that tells."""
        record = self.follower.record
        if not record.device_model:
            return contextlib.nullcontext()
        return devicemodel.listening(devicemodel.monitor(record.uuid), self.card_fired)

    def card_fired(self) -> None:
        """Have the next look know that the domain's card has expired."""
        self.fired += 1

    async def events(self) -> AsyncIterator[Event]:
        """Yield events until the domain is not there any more."""
        while True:
            gone, ended = False, None
            changing = locking.held(self.files)
            rows = await self._rows()
            row = next(iter(self._copies(rows or [])), None)
            fired, self.fired = (self.fired, 0) if row is not None else (0, self.fired)
            if row is not None and fired:  # for others who follow: we alone have heard of it
                notes.note(self.files, EventKind.WATCHDOG, row.domid)
            deeds = self.reader.read()
            told = self.follower.deeds(deeds)
            told += [
                event
                for end in monitor.ends(self.logs, self.files.name)
                for event in self.follower.end(end)
            ]
            # What is seen in the middle of a change says nothing; what was seen before one is old.
            if rows is not None and not deeds and not changing:
                if row is None:
                    gone = await self._gone()
                else:
                    told += self.follower.look(row)
                    ended = row if row.shut_down and row.reason != SUSPEND else None
            for event in told:
                yield event
                if CODE in event.data:  # whoever asks for the next one has heard of this end
                    _note_reported(self.files, int(event.data[DOMID]))
            if gone:
                if await remaking.remake(self.files, self.xl, self.logs):
                    continue
                return
            acted = ended is not None and await self._settle(ended)
            if row is not None and fired:
                acted |= await aftermath.after_card(self.files, self.xl, row.domid)
            if not acted and not deeds:
                await self.waker.wait()

    async def _rows(self) -> list[Row] | None:
        try:
            return await self.xl.rows()
        except EngineError:
            return None  # a hung xl may wake; only the domain's end ends this

    def _copies(self, rows: list[Row]) -> list[Row]:
        """Return the domain's copies; one without a name is none yet, or none any more."""
        found = finding.ours(rows, self.files.name, self.follower.record.uuid)
        return [row for row in found if row.name != finding.NAMELESS]

    async def _settle(self, row: Row) -> bool:
        if row.reason is None:
            return False
        return await aftermath.settle(self.files, self.xl, row.domid, row.reason)

    async def _gone(self) -> bool:
        """Say whether it is really gone, and not just between two domids of a restart."""
        if locking.held(self.files) or monitor.alive(self.files):
            return False
        rows = await self._rows()
        return rows is not None and not self._copies(rows) and not self.reader.pending()


def _reported(files: Files) -> int:
    try:
        return int(files.reported.read_text())
    except (OSError, ValueError):
        return -1


def _note_reported(files: Files, domid: int) -> None:
    """Remember across followers whose end was told, so that the next one does not tell it again."""
    try:
        files.reported.write_text(str(domid))
    except FileNotFoundError:
        pass  # the domain's folder is gone, and with it the need

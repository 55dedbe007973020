"""The source's half of a move."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import Mapping, Sequence
from typing import Any

from domwarden.contract import (
    Address,
    Definition,
    EngineError,
    GuestStoppedError,
    OnProgress,
    Outgoing,
    Progress,
    Refusal,
)

from . import blockers, finding, libxl, pausing, shims
from .facts import Facts
from .files import Files
from .moving import SOURCE
from .record import Record
from .shims import Seen, Shim
from .suspending import Suspender
from .transport import processes
from .transport.note import Note, Phase
from .transport.order import COMMAND
from .transport.stream import PAGE_BYTES
from .xl import SUSPEND, Row, Xl

_TELL_SECONDS = 0.5
#: The destination's answer, then xl's rename and its *go*.
_COMPLETE_SECONDS = 30.0
#: xl resumes its domain and ends; then it is killed, and the domain is resumed without it.
_RESUME_SECONDS = 20.0
_UNDER_WAY = frozenset({Phase.BEGUN, Phase.STREAMING, Phase.SENT})


class XenOutgoing(Outgoing):
    """One outgoing move; all it knows is in Xen, in the record and in the shim's note."""

    def __init__(
        self, files: Files, xl: Xl, definition: Definition, migration: str, peer: str
    ) -> None:
        self._files = files
        self._xl = xl
        self._definition = definition
        self._migration = migration
        self._peer = peer
        self._shim = Shim(files, SOURCE)
        self._name = files.name

    async def blockers(self) -> Sequence[Refusal]:
        """Return what Xen itself says against a move of this domain now."""
        record, row = await finding.required(self._files, self._xl)
        here = Facts.of(await self._xl.info())
        attached = _attached(await self._xl.configuration(row.domid))
        if record.leaving == self._migration:
            record = dataclasses.replace(record, leaving="")
        # What is against a live move alone is the destination's to say: a save is asked this, too.
        return blockers.of_source(self._definition, here, record, row, {"": attached}, live=False)

    async def precopy(self, address: Address, progress: OnProgress) -> None:
        """Let ``xl migrate`` send the domain, until its shim holds *ready*."""
        record, row = await finding.required(self._files, self._xl)
        if self._shim.note() is not None:
            raise EngineError(f"{self._name}: another move of it is not settled")
        limit = self._definition.migration.timeout_seconds
        dataclasses.replace(record, leaving=self._migration).save(self._files.record)
        self._shim.begin(Note(self._migration, Phase.BEGUN, processes.boot_id(), domid=row.domid))
        words_at = shims.log_size(self._files)
        order = {
            "end": SOURCE,
            "migration": self._migration,
            "domid": row.domid,
            "address": dict(address),
            **self._terms(address),
            "bytes_per_second": self._definition.migration.bandwidth_bytes_per_second,
        }
        command = self._xl.command("migrate", "-s", "", str(row.domid), COMMAND)
        pid = shims.start(self._files, command, order, self._files.environment)
        try:
            async with asyncio.timeout(limit):
                await self._follow(progress, pid, row, words_at)
        except EngineError as error:
            await self._stopped_meanwhile(record, row, error)
            raise
        except TimeoutError as error:
            # Left alone it could still suspend the guest, for nobody.
            with contextlib.suppress(EngineError):
                await self._shim.tell("abort")
            raise EngineError(
                f"{self._name}: pre-copy did not end in {limit:g} s",
                command="xl migrate",
                hint="allow more time or bandwidth; xl itself ends it after five rounds",
            ) from error

    def _terms(self, address: Address) -> Mapping[str, Any]:
        place = str(address["xen"]["host"]) if "xen" in address else ""
        return shims.terms(self._files.host, place, self._peer)

    async def _follow(
        self, progress: OnProgress, pid: tuple[int, int], row: Row, words_at: int
    ) -> None:
        begun = time.monotonic()
        # A guest whose processors stand still cannot suspend itself.
        suspender = Suspender(row.domid, self._xl.binary) if row.paused else None
        while True:
            seen = await self._shim.wait(_UNDER_WAY, _TELL_SECONDS)
            progress(self._progress(seen, time.monotonic() - begun))
            if seen.phase is Phase.READY:
                return
            if seen.phase not in _UNDER_WAY:
                break
            if not seen.answered:
                note = self._shim.note()
                lives = note is not None and note.shim_lives
                if not lives and not processes.lives(*pid):
                    break
                await asyncio.sleep(0.05)
            if suspender is not None and await suspender.asked():
                await self._xl.unpause(row.domid)
                suspender = None
        words = shims.last_words(self._files, words_at)
        raise EngineError(
            f"{self._name}: the transfer failed: {seen.problem or 'xl ended'} ({words})",
            command="xl migrate",
            hint=f"see {self._files.log}",
        )

    async def _stopped_meanwhile(self, record: Record, before: Row, error: EngineError) -> None:
        """Raise GuestStoppedError where that is why the guest did not suspend itself."""
        row = await finding.find(self._files, self._xl, record)
        if row is None or before.paused:
            return
        if row.shut_down and row.reason != SUSPEND:
            what = f"it shut down (code {row.reason})"
        elif row.paused:
            what = "it was paused"
        else:
            return
        raise GuestStoppedError(f"{self._name}: {what} during its move: {error.message}") from error

    async def suspend(self) -> None:
        """See that its whole stream, suspend included, is with the destination."""
        note = self._own_note()
        if note.phase not in (Phase.READY, Phase.TOLD, Phase.GO):
            raise EngineError(f"{self._name}: it is not suspended: its move is {note.phase}")

    async def complete(self, progress: OnProgress) -> None:
        """Pass *ready* on once the destination is seen alive; return when *go* is held."""
        self._own_note()
        await self._shim.tell("complete")
        seen = await self._shim.until_past((Phase.READY, Phase.TOLD), _COMPLETE_SECONDS)
        progress(self._progress(seen, 0.0))
        if seen.phase is not Phase.GO:
            why = seen.problem or f"its move is {seen.phase}"
            raise EngineError(f"{self._name}: it could not be given away: {why}")

    async def abort(self, *, resume: bool) -> None:
        """Let xl resume the domain, or do it without xl; see it back."""
        record = Record.load(self._files.record)
        if record is None:
            raise EngineError(f"{self._name}: it is not here")
        note = self._shim.note()
        if note is not None and note.migration == self._migration and not note.stale:
            await self._back(record, note, resume=resume)
            self._shim.kill()
            self._shim.forget()
        elif note is not None and note.migration != self._migration:
            raise EngineError(f"{self._name}: it is in the move {note.migration}")
        await self._see(record, resume=resume)
        if record.leaving == self._migration:
            dataclasses.replace(record, leaving="").save(self._files.record)

    async def _back(self, record: Record, note: Note, *, resume: bool) -> None:
        row = await self._row(record, note)
        if not resume and row is not None and not row.paused:
            await self._xl.pause(row.domid)  # before it can run: Xen counts beyond the suspend
        await self._shim.tell("abort")
        if note.phase is Phase.BEGUN and not note.shim[0]:
            # xl has not come as far as its transport, or never will.
            await self._shim.until_past((Phase.BEGUN,), _RESUME_SECONDS)
        await self._shim.let_xl_end(_RESUME_SECONDS)
        row = await self._row(record, note)
        if row is None:
            return
        if row.name != self._name:
            await self._xl.rename(row.domid, self._name)
        if row.shut_down and row.reason == SUSPEND:
            await libxl.resume(row.domid, cooperative=True)

    async def _see(self, record: Record, *, resume: bool) -> None:
        row = await finding.find(self._files, self._xl, record)
        if row is None:
            raise EngineError(f"{self._name}: it ended meanwhile")
        if row.shut_down and row.reason != SUSPEND:
            return  # not the move's doing
        if not resume:
            if not row.paused:
                await self._xl.pause(row.domid)
        elif row.shut_down or not row.paused:
            # Paused, and not by us: we pause only what is to stay so.
            await pausing.run(self._xl, row)

    async def _row(self, record: Record, note: Note) -> Row | None:
        rows = finding.ours(await self._xl.rows(), self._name, record.uuid)
        return next((row for row in rows if row.domid == note.domid and not row.dying), None)

    def _own_note(self) -> Note:
        note = self._shim.note()
        if note is None or note.migration != self._migration or note.stale:
            raise EngineError(f"{self._name}: this move has not begun here")
        return note

    def _progress(self, seen: Seen, seconds: float) -> Progress:
        total = self._definition.memory_bytes
        sent = seen.pages * PAGE_BYTES
        return Progress(
            total_bytes=total,
            transferred_bytes=seen.bytes,
            remaining_bytes=max(0, total - sent),
            rate_bytes_per_second=seen.bytes / seconds if seconds > 1.0 and seen.bytes else None,
        )


def _attached(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """Return what libxl has attached, by the keys of a configuration file."""
    config = configuration.get("config", {})
    names = {"pci": "pcidevs", "usbctrl": "usbctrls", "usbdev": "usbdevs", "vtpm": "vtpms"}
    found = {ours: config[theirs] for ours, theirs in names.items() if config.get(theirs)}
    if "vtpm" in found:
        found["vtpm"] = [{"backend": entry.get("backend_domname")} for entry in found["vtpm"]]
    return found

"""The destination's half of a move."""

from __future__ import annotations

import asyncio
import dataclasses
import secrets
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from domwarden.contract import (
    Address,
    Definition,
    EngineError,
    Incoming,
    Refusal,
    RefusedError,
    Room,
)

from . import blockers, finding, pausing, shims, starting
from .configuration import render
from .facts import Facts
from .files import Files
from .moving import DESTINATION
from .record import Record
from .schema import HostOptions
from .shims import Shim
from .transport import processes
from .transport.note import Note, Phase
from .xl import Row, Xl

#: xl gives the copy its name and reports; nothing else is done at *go*.
_GO_SECONDS = 30.0
#: xl destroys what it has of the copy.
_DISCARD_SECONDS = 60.0
_ARRIVING = frozenset({Phase.BEGUN, Phase.LISTENING, Phase.STREAMING})


class XenIncoming(Incoming):
    """One incoming move: its copy is made, held and let run, each by a word of its own.

    xl is always told to leave the copy paused (``migrate-receive -p``), so that *go* only gives it
    its name; it runs by our own ``xl unpause``, and by nothing else.
    """

    def __init__(
        self,
        files: Files,
        xl: Xl,
        migration: str,
        peer: str,
        options: HostOptions,
        place: Callable[[Definition, Room], Mapping[str, Any]],
    ) -> None:
        self._files = files
        self._xl = xl
        self._migration = migration
        self._peer = peer
        self._options = options
        self._place = place
        self._shim = Shim(files, DESTINATION)
        self._name = files.name

    async def refusals(self, definition: Definition) -> Sequence[Refusal]:
        """Return what this host has against running the domain of that live definition."""
        found = blockers.of_destination(definition, Facts.of(await self._xl.info()))
        return [*found, *blockers.of_live(definition)]

    @property
    def arrives_at(self) -> str:
        """The address of the host file."""
        return self._options.migration_address

    async def listen(
        self, definition: Definition, room: Room, source: Address | None = None
    ) -> Address:
        """Start a receiver that waits for the stream, or reads the save."""
        if found := blockers.of_destination(definition, Facts.of(await self._xl.info())):
            raise RefusedError(found)
        made = self._place(definition, room)
        text = render(made)
        await self._free(definition)
        limit = definition.migration.timeout_seconds
        record = starting.record_of(
            definition,
            made,
            migration=self._migration,
            timeout_seconds=limit,
            activated=False,
            ran=False,
        )
        self._files.remove()
        self._files.create()
        record.save(self._files.record)
        self._files.config.write_text(text)
        self._files.config.chmod(0o600)
        self._shim.begin(Note(self._migration, Phase.BEGUN, processes.boot_id()))
        host, token = self._options.migration_address, secrets.token_hex(16)
        first, last = self._options.migration_ports
        order = {
            "end": DESTINATION,
            "migration": self._migration,
            "configuration": text,
            "command": self._xl.command("migrate-receive", "-p"),
            "environment": dict(self._files.environment),
            "host": host,
            "ports": list(range(first, last + 1)),
            "token": token,
            "timeout_seconds": limit,
            **(
                {"source": dict(source)}
                if source is not None
                else shims.terms(self._files.host, host, self._peer)
            ),
        }
        try:
            return await self._listen(order, source)
        except BaseException:
            await asyncio.shield(self.discard())
            raise

    async def _listen(self, order: Mapping[str, Any], source: Address | None) -> Address:
        words_at = shims.log_size(self._files)
        command = [sys.executable, "-P", "-m", "domwarden_xen.transport"]
        pid = shims.start(self._files, command, order, {})
        seen = await self._shim.until_past((Phase.BEGUN,), shims.START_SECONDS, pid)
        if seen.phase not in (Phase.LISTENING, Phase.STREAMING, Phase.READY):
            raise self._failure("no receiver", seen.problem, words_at)
        if source is not None:
            return source
        return {"xen": {"host": order["host"], "port": seen.port, "token": order["token"]}}

    async def received(self) -> None:
        """Wait until xl holds the whole copy."""
        record = self._own_record()
        words_at = max(0, shims.log_size(self._files) - 4096)
        seen = await self._shim.until_past(_ARRIVING, record.timeout_seconds)
        if seen.phase not in (Phase.READY, Phase.GO, Phase.STARTED):
            raise self._failure("the stream did not arrive", seen.problem, words_at)

    async def activate(self, *, run: bool) -> None:
        """Pass *go*, note that this copy owns the domain, then let it run."""
        record = self._own_record()
        if not record.activated:
            row = await self._take_over(record)
            # Not before: a copy that was never told to run may still be discarded.  It has run,
            # if elsewhere: what is paused from now on was paused by somebody.
            dataclasses.replace(record, activated=True, ran=True).save(self._files.record)
        else:
            row = await self._named(record)
        if run:
            await pausing.run(self._xl, row)
        self._shim.forget()

    async def _take_over(self, record: Record) -> Row:
        """See the copy under its own name, still paused."""
        seen = await self._shim.tell("go")
        if seen.answered:
            seen = await self._shim.until_past((Phase.GO,), _GO_SECONDS)
        if seen.phase is Phase.GIVEN_BACK:
            raise EngineError(f"{self._name}: xl destroyed its copy: {seen.problem}")
        await self._gone_unless_held(seen.phase)
        return await self._named(record)

    async def _gone_unless_held(self, phase: Phase) -> None:
        if phase is Phase.STARTED:
            return
        if phase not in (Phase.READY, Phase.GO):
            raise EngineError(f"{self._name}: its copy is not whole: its move is {phase}")
        # The shim or its xl is gone.  An xl that is not might yet destroy the copy.
        await self._shim.let_xl_end(_DISCARD_SECONDS)
        self._shim.kill()  # it has nobody to pass anything on to any more

    async def _named(self, record: Record) -> Row:
        rows = finding.ours(await self._xl.rows(), self._name, record.uuid)
        live = [row for row in rows if not row.dying]
        if not live:
            raise EngineError(f"{self._name}: its copy is gone")
        if live[0].name != self._name:
            await self._xl.rename(live[0].domid, self._name)
        return live[0]

    async def discard(self) -> None:
        """Let xl destroy this copy, or do it without xl; remove what is left."""
        record = Record.load(self._files.record)
        if record is None or record.migration != self._migration:
            return  # what is here, if anything, is not this move's
        if record.activated:
            raise EngineError(f"{self._name}: its copy was activated here")
        await self._shim.tell("discard")
        await self._shim.let_xl_end(_DISCARD_SECONDS)
        self._shim.kill()
        for row in finding.ours(await self._xl.rows(), self._name, record.uuid):
            if not row.dying:
                await self._destroy(row)
        self._files.remove()

    async def _destroy(self, row: Row) -> None:
        try:
            await self._xl.destroy(row.domid)
        except EngineError:
            if any(left.domid == row.domid for left in await self._xl.rows()):
                raise

    async def _free(self, definition: Definition) -> None:
        """Raise EngineError when a domain with one of its names, or a copy of it, is here."""
        names = (self._name, f"{self._name}{finding.INCOMING}")
        for row in await self._xl.rows():
            if row.name in names or row.uuid == definition.uuid:
                raise EngineError(
                    f"{self._name}: {row.name} is here already (domid {row.domid})",
                    hint="xl list -v shows it; destroy it if nobody needs it",
                )

    def _own_record(self) -> Record:
        record = Record.load(self._files.record)
        if record is None or record.migration != self._migration:
            raise EngineError(f"{self._name}: this move made no copy here")
        return record

    def _failure(self, what: str, problem: str, words_at: int) -> EngineError:
        words = shims.last_words(self._files, words_at)
        return EngineError(
            f"{self._name}: {what}: {problem or 'its process ended'} ({words})",
            command="xl migrate-receive",
            hint=f"see {self._files.log}",
        )

"""The destination's half of a move."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
from collections.abc import Awaitable, Callable

from domwarden.contract import (
    Address,
    Definition,
    EngineError,
    Incoming,
    Room,
    Stream,
    stream_at,
)
from domwarden.contract.qemu_tls import qemu_serves

from . import ending, moves, process, realize, streams
from .arguments import STREAM_FD, command_line
from .capabilities import Capabilities
from .files import Files
from .gate import Gate
from .launch import launch
from .monitor import Monitor, Session
from .observe import UNDER_WAY
from .record import Record
from .schema import HostOptions

logger = logging.getLogger(__name__)

#: An incoming QEMU that tells nothing is asked this often.
_LOOK_SECONDS = 0.2


class QemuIncoming(Incoming):
    """One incoming move; a fresh process for each attempt, held until it is granted."""

    def __init__(
        self,
        files: Files,
        monitor: Monitor,
        migration: str,
        options: HostOptions,
        probe: Callable[[], Awaitable[Capabilities]],
        peer: str = "",
    ) -> None:
        self._peer = peer
        self._files = files
        self._monitor = monitor
        self._migration = migration
        self._options = options
        self._probe = probe
        #: The connection on which this object has heard the move from its beginning on.
        self._kept: contextlib.AsyncExitStack | None = None
        self._heard: tuple[Session, moves.NextStatus] | None = None
        #: Waits for the source's connection.
        self._gate: Gate | None = None
        self._letting_in: asyncio.Task[None] | None = None

    @property
    def arrives_at(self) -> str:
        """The address in the host file."""
        return "" if self._options.listen == "unix" else self._options.listen

    async def listen(
        self, definition: Definition, room: Room, source: Address | None = None
    ) -> Address:
        """Start a held QEMU that waits for the stream, or reads the save."""
        capabilities = await self._probe()
        _same_host_kind(definition, capabilities)
        devices = realize.place(definition, room)
        command = command_line(
            definition, self._files, self._options.binary, devices, held=True, incoming=True
        )
        record = Record(
            boot_id="",
            migration=self._migration,
            timeout_seconds=_arrival_seconds(definition, source),
            activated=False,
            ran=False,
            watchdog_action=realize.action(definition),
        )
        async with streams.reading(source, STREAM_FD) as inherited:
            await launch(self._files, command, self._monitor, record, inherited)
        try:
            return await self._open(source)
        except BaseException:
            await asyncio.shield(self.discard())
            raise

    async def received(self) -> None:
        """Wait for the last byte; the copy stays held by -S."""
        record = self._record()
        try:
            async with asyncio.timeout(record.timeout_seconds):
                await self._receive()
        except TimeoutError as error:
            seconds = record.timeout_seconds
            message = f"{self._files.name}: the stream did not arrive in {seconds:g} s"
            raise EngineError(message) from error
        except EngineError as error:
            # QEMU exits when a stream does not load; its last line says why.
            if await process.ended(record, self._files.pidfile, 1.0):
                words = process.last_words(self._files.log, record.log_offset)
                message = f"{self._files.name}: the stream did not load: {words or 'no reason'}"
                raise EngineError(message, hint=f"see {self._files.log}") from error
            raise
        finally:
            await self._let_go()

    async def activate(self, *, run: bool) -> None:
        """Note that this copy owns the domain, then let it run."""
        known = self._record()
        record = dataclasses.replace(known, activated=True)
        if not run:
            record.save(self._files.record)
            return
        async with self._monitor.session(linger=True) as session:
            # Not before: a copy that was never told to run may still be discarded.
            record.save(self._files.record)
            if not known.ran:
                await session.execute("cont")
            status = await session.execute("query-status")
            if known.ran and not status["running"]:
                await session.execute("cont")
                status = await session.execute("query-status")
        if not status["running"]:
            raise EngineError(f"{self._files.name}: it does not run: {status['status']}")
        dataclasses.replace(record, ran=True).save(self._files.record)

    async def discard(self) -> None:
        """Kill this copy and remove what is left of it."""
        await self._let_go()
        await self._monitor.aclose()  # or it is lost with the process
        await ending.discard(self._files, self._migration)

    async def _open(self, source: Address | None) -> Address:
        async with contextlib.AsyncExitStack() as stack:
            session = await stack.enter_async_context(self._monitor.session(linger=True))
            wanted = ["late-block-activate", "events"]
            if source is None:
                wanted += ["return-path", "pause-before-switchover"]
            await moves.set_capabilities(session, *wanted)
            self._heard = session, await stack.enter_async_context(moves.told(session))
            address: Address
            if source is not None:
                uri, address = f"fd:{STREAM_FD}", source
            elif self._options.listen == "unix":
                uri, address = f"unix:{self._files.incoming}", {"unix": str(self._files.incoming)}
            else:
                uri, address = "", await self._open_gate(session)
            if uri:
                await session.execute("migrate-incoming", {"uri": uri})
            self._kept = stack.pop_all()
        return address

    async def _open_gate(self, session: Session) -> Address:
        """Listen for the source's connection, and let QEMU have it when it comes."""
        where = self._options.listen
        stream = stream_at(self._files.host, where)
        if stream is Stream.TLS:
            execute, host = session.execute, self._files.host
            chosen = await qemu_serves(execute, host, streams.TLS, self._peer)
            await execute("migrate-set-parameters", chosen)
        self._gate = gate = Gate(where, self._options.migration_ports)
        name = f"{self._files.name}/gate"
        self._letting_in = asyncio.create_task(self._let_in(gate, session), name=name)
        place = {"host": where, "port": gate.port}
        return {"tcp": place, "word": gate.word, "stream": stream}

    async def _let_in(self, gate: Gate, session: Session) -> None:
        with await gate.source() as sock:
            try:
                await streams.take(session, sock)
            except EngineError as error:
                logger.error("%s", error)  # noqa: TRY400 - its source sees the connection end, and fails

    async def aclose(self) -> None:
        """Stop waiting for the source's connection; idempotent."""
        gate, self._gate = self._gate, None
        task, self._letting_in = self._letting_in, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        if gate is not None:
            gate.close()  # a task that never began has not

    async def _receive(self) -> None:
        if self._heard is not None:
            await self._until_completed(*self._heard)
            return
        async with (
            self._monitor.session(linger=True) as session,
            moves.told(session) as next_status,
        ):
            if not await self._has_completed(session):
                await self._until_completed(session, next_status)

    async def _until_completed(self, session: Session, next_status: moves.NextStatus) -> None:
        """Wait for QEMU's word; it is asked only where it says nothing, or that it failed.

        Its main loop is what loads the stream: a question would hold that up.  ``completed`` is the
        last thing that it does: its run state has changed before.
        """
        while (told := await next_status(_LOOK_SECONDS)) != "completed":
            if told not in UNDER_WAY and await self._has_completed(session):
                return

    async def _has_completed(self, session: Session) -> bool:
        answer, status = await moves.look(session, timeout_seconds=3600)
        if answer.get("status") in ("failed", "cancelled"):
            raise moves.failure(self._files.name, answer)
        return answer.get("status") == "completed" and status != "inmigrate"

    async def _let_go(self) -> None:
        """Stop hearing; the connection lingers for the next step."""
        await self.aclose()
        kept, self._kept, self._heard = self._kept, None, None
        if kept is not None:
            await kept.aclose()

    def _record(self) -> Record:
        record = Record.load(self._files.record)
        if record is None or record.migration != self._migration:
            raise EngineError(f"{self._files.name}: this move made no copy here")
        if process.alive(record, self._files.pidfile) is None:
            words = process.last_words(self._files.log, record.log_offset)
            raise EngineError(f"{self._files.name}: the incoming QEMU ended: {words}")
        return record


def _arrival_seconds(definition: Definition, source: Address | None) -> float:
    """Return how long the rest of the stream may take; of a live one only the end is left."""
    if source is None:
        return moves.switchover_seconds(definition)
    return definition.migration.timeout_seconds


def _same_host_kind(definition: Definition, capabilities: Capabilities) -> None:
    """Refuse what would fail late, inside the stream; QEMU checks the processor itself."""
    live = definition.live
    if live.get("accel") != capabilities.accel:
        raise EngineError(
            f"{definition.name}: it runs under {live.get('accel')}, this host offers"
            f" {capabilities.accel}",
            hint="both hosts need the same accelerator",
        )
    capabilities.machine(str(live.get("machine")))

"""The source's half of a move."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from domwarden.contract import (
    Address,
    Definition,
    EngineError,
    OnProgress,
    Outgoing,
    Progress,
    Refusal,
)

from . import abort, blockers, halting, moves, process, streams
from .files import Files
from .monitor import Monitor, Session
from .observe import UNDER_WAY
from .record import Record

_FIRST_TICK_SECONDS = 0.02
#: Also the first tick of the switchover: most are over before it, and a question is in the way.
_LAST_TICK_SECONDS = 0.2
_YANK_TIMEOUT_SECONDS = 5.0
_AFTER_YANK_SECONDS = 15.0
#: QEMU says ``completed`` a moment before it fills in the downtime and leaves finish-migrate.
_SETTLE_SECONDS = 5.0


class QemuOutgoing(Outgoing):
    """One outgoing move; all it knows is in QEMU and in the domain's record.

    It speaks on the domain's ``move`` socket and keeps the connection as long as a step lasts:
    when the destination hangs at the switchover, QEMU's main loop stands still with it, and only a
    connection that was negotiated before can still carry the out-of-band ``yank``.
    """

    def __init__(
        self, files: Files, monitor: Monitor, definition: Definition, peer: str = ""
    ) -> None:
        self._peer = peer
        self._files = files
        self._monitor = monitor
        self._definition = definition
        self._name = definition.name
        # What this object saw itself; a rebuilt one asks QEMU.  Each question is guest time.
        self._live: bool | None = None
        self._at_switchover = False
        self._last: Progress | None = None

    async def blockers(self) -> Sequence[Refusal]:
        """Return QEMU's own reasons against a move of this domain now."""
        record = self._record()
        async with self._monitor.session(linger=True) as session:
            migration, status = await moves.look(session)
        return blockers.refusals(self._definition, record, status, migration)

    async def precopy(self, address: Address, progress: OnProgress) -> None:
        """Copy until QEMU holds the suspended guest before the switchover."""
        limit = self._definition.migration.timeout_seconds
        self._live = live = not streams.is_file(address)
        self._at_switchover = False
        async with self._monitor.session(linger=True) as session:
            self._note_returned(False)
            await moves.set_source(session, self._definition, live=live)
            try:
                async with (
                    streams.handed_over(session, self._files.host, self._peer, address) as uri,
                    asyncio.timeout(limit),
                    halting.watched(self._name, session) as halts,
                ):
                    if not live:
                        # A save has nobody who waits for a short downtime.
                        await halts.stop()
                    await self._follow(
                        session,
                        "pre-switchover",
                        progress,
                        lambda: session.execute("migrate", {"uri": uri}),
                        halts=halts,
                    )
                self._at_switchover = True
            except TimeoutError as error:
                # Left alone it could still reach the switchover, and suspend a guest for nobody.
                with contextlib.suppress(EngineError):
                    await session.execute("migrate_cancel")
                raise EngineError(
                    f"{self._name}: pre-copy did not converge in {limit:g} s",
                    command="migrate",
                    hint="allow more bandwidth, downtime or time, or set auto_converge: true",
                ) from error

    async def suspend(self) -> None:
        """See that QEMU holds the suspended guest before the switchover."""
        if self._at_switchover:
            return  # seen a moment ago, and complete() fails if it has changed since
        answer = await self._monitor.execute("query-migrate")
        if answer.get("status") not in ("pre-switchover", "device", "completed"):
            raise moves.failure(self._name, answer)

    async def complete(self, progress: OnProgress) -> None:
        """Send the rest; a destination that hangs is cut off out of band.

        QEMU resumes a guest by itself until the move is ``completed``, and never afterwards
        (migration.c, migration_iteration_finish).
        """
        async with self._monitor.session(linger=True) as session:
            if not await self._is_completed(session):
                await self._switch_over(session, progress)

    async def downtime_seconds(self) -> float | None:
        """Read it once QEMU has filled it in, and has left the switchover."""
        async with self._monitor.session(linger=True) as session:
            answer = await self._settled(session)
        return float(answer["downtime"]) / 1000

    async def abort(self, *, resume: bool) -> None:
        """Give the move up: query first, cancel or yank, see the domain back."""
        self._record()
        self._at_switchover = False
        async with self._monitor.session() as session:
            await abort.cancel(self._name, session)
            returned = await abort.bring_back(self._name, session, resume=resume)
        self._note_returned(returned)

    async def _switch_over(self, session: Session, progress: OnProgress) -> None:
        limit = moves.switchover_seconds(self._definition)
        if not await self._is_live(session):
            limit = max(limit, self._definition.migration.timeout_seconds)
        try:
            async with asyncio.timeout(limit):
                await self._follow(
                    session,
                    "completed",
                    progress,
                    lambda: self._continue(session, progress),
                    told_bytes=1,  # pre-copy has told them
                )
        except (TimeoutError, asyncio.CancelledError):
            # Also when cancelled: nobody could cut it off later, since a hung main loop negotiates
            # no new connection.  The destination is held, so a cut is safe at any moment.
            await asyncio.shield(self._cut(session))
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise
            await self._after_cut(session, limit)

    async def _continue(self, session: Session, progress: OnProgress) -> None:
        """Let QEMU send the rest, beginning at what pre-copy told: a question would cost time."""
        await session.execute("migrate-continue", {"state": "pre-switchover"})
        if self._last is not None:
            progress(self._last)

    async def _cut(self, session: Session) -> None:
        with contextlib.suppress(EngineError):
            await session.execute(
                "yank", moves.MIGRATION_YANK, timeout_seconds=_YANK_TIMEOUT_SECONDS, oob=True
            )

    async def _after_cut(self, session: Session, limit: float) -> None:
        answer = await session.execute("query-migrate", timeout_seconds=_AFTER_YANK_SECONDS)
        if answer.get("status") != "completed":
            reason = answer.get("error-desc", answer.get("status", "none"))
            raise EngineError(
                f"{self._name}: the destination did not take the rest in {limit:g} s and was"
                f" cut off ({reason})",
                command="migrate-continue",
            )

    async def _follow(
        self,
        session: Session,
        goal: str,
        progress: OnProgress,
        begin: Callable[[], Awaitable[Any]],
        *,
        told_bytes: int = 0,
        halts: halting.Halts | None = None,
    ) -> None:
        """Begin, report, and return at the goal; raises EngineError when the migration failed.

        QEMU's events say when; only where they leave something open is it asked, since near the
        switchover the guest stands while we ask.
        """
        async with moves.told(session) as next_status:
            await begin()
            pause = _LAST_TICK_SECONDS if told_bytes else _FIRST_TICK_SECONDS
            while True:
                status = await next_status(pause)
                if halts is not None:
                    # What stopped the guest before the switchover was told before it.
                    await halts.check()
                pause = min(pause * 2, _LAST_TICK_SECONDS)
                if status in UNDER_WAY and status != goal:
                    continue
                if status == goal and told_bytes:
                    return
                answer = await session.execute("query-migrate", timeout_seconds=3600)
                self._last = report = moves.progress(answer)
                progress(report)
                told_bytes = report.transferred_bytes
                status = answer.get("status", "none")
                if status == goal:
                    return
                if status not in UNDER_WAY or status == "cancelling":
                    raise moves.failure(self._name, answer)

    async def _settled(self, session: Session) -> dict[str, Any]:
        """Return the final answer, or raise EngineError if there is none after seconds."""
        status = ""
        try:
            async with asyncio.timeout(_SETTLE_SECONDS):
                while True:
                    answer, status = await moves.look(session)
                    done = answer.get("status") == "completed" and status == "postmigrate"
                    if done and "downtime" in answer:
                        return answer
                    await asyncio.sleep(0.001)
        except TimeoutError as error:
            raise EngineError(
                f"{self._name}: its stream is complete, yet it is {status} after"
                f" {_SETTLE_SECONDS:g} s",
                command="query-status",
            ) from error

    async def _is_completed(self, session: Session) -> bool:
        if self._at_switchover:
            self._at_switchover = False
            return False
        answer = await session.execute("query-migrate")
        return bool(answer.get("status") == "completed")

    async def _is_live(self, session: Session) -> bool:
        if self._live is None:
            states = await session.execute("query-migrate-capabilities")
            paths = [entry["state"] for entry in states if entry["capability"] == "return-path"]
            self._live = any(paths)
        return self._live

    def _record(self) -> Record:
        record = Record.load(self._files.record)
        if record is None or process.alive(record, self._files.pidfile) is None:
            raise EngineError(f"{self._name}: QEMU's process is not here")
        return record

    def _note_returned(self, returned: bool) -> None:
        record = self._record()
        if record.returned != returned:
            dataclasses.replace(record, returned=returned).save(self._files.record)

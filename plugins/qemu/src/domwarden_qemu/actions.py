"""What a watchdog's action does to a domain, done by us instead of by QEMU."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Awaitable, Callable
from typing import Any

from domwarden.contract import Action, EngineError

from .files import Files
from .monitor import Monitor, Session

DUMP_FLOOR_SECONDS = 60.0
#: Slower than any disk that should hold dumps.
DUMP_BYTES_PER_SECOND = 20 * 1024**2
#: The run states of a copy about which a move decides: its mover alone lets it run.
_MOVING = frozenset({"inmigrate", "finish-migrate", "postmigrate"})


async def act(files: Files, monitor: Monitor, action: Action) -> None:
    """Perform the action; raises EngineError."""
    performers: dict[Action, Callable[[Files, Session], Awaitable[None]]] = {
        Action.RESET: _reset,
        Action.POWEROFF: _poweroff,
        Action.SHUTDOWN: _shutdown,
        Action.PAUSE: _pause,
        Action.DUMP: _dump,
        Action.NMI: _nmi,
    }
    if action in performers:
        async with monitor.session() as session:
            await performers[action](files, session)


async def _reset(files: Files, session: Session) -> None:
    await _status_at_rest(files, session)
    await session.execute("system_reset")
    status = await _status_at_rest(files, session)
    if not status["running"]:
        await session.execute("cont")


async def _status_at_rest(files: Files, session: Session) -> Any:
    status = await session.execute("query-status")
    if status["status"] in _MOVING and not await _given_up(session, status["status"]):
        raise EngineError(
            f"{files.name}: it is moving to another host ({status['status']}): not reset here"
        )
    return status


async def _given_up(session: Session, status: str) -> bool:
    """Say whether the move of a guest that was stopped before its switchover came to nothing."""
    if status != "postmigrate":
        return False
    migration = await session.execute("query-migrate")
    return migration.get("status") in ("failed", "cancelled")


async def _poweroff(_files: Files, session: Session) -> None:
    await session.execute("quit")


async def _shutdown(_files: Files, session: Session) -> None:
    await session.execute("system_powerdown")


async def _pause(_files: Files, session: Session) -> None:
    await session.execute("stop")


async def _nmi(_files: Files, session: Session) -> None:
    await session.execute("inject-nmi")


async def _dump(files: Files, session: Session) -> None:
    """Pause, write the memory, reset; the guest comes back even when the dump cannot be written."""
    await session.execute("stop")
    try:
        await _write_dump(files, session)
    finally:
        await _reset(files, session)


async def _write_dump(files: Files, session: Session) -> None:
    files.dumps.mkdir(mode=0o700, parents=True, exist_ok=True)
    now = datetime.datetime.now(datetime.UTC)
    path = files.dumps / f"{files.name}-{now:%Y%m%dT%H%M%S.%fZ}.elf"
    memory = await session.execute("query-memory-size-summary")
    limit = DUMP_FLOOR_SECONDS + memory["base-memory"] / DUMP_BYTES_PER_SECOND
    # Detached: the command itself would hold up QEMU's main loop until all is written.
    arguments = {"paging": False, "protocol": f"file:{path}", "detach": True}
    try:
        async with asyncio.timeout(limit), session.listen("DUMP_COMPLETED") as done:
            await session.execute("dump-guest-memory", arguments)
            event = await anext(done)
    except TimeoutError as error:
        raise EngineError(f"{files.name}: the dump was not written in {limit:g} s") from error
    if event["data"]["result"]["status"] != "completed":
        reason = event["data"].get("error", "no reason given")
        raise EngineError(f"{files.name}: {path}: the dump failed: {reason}")

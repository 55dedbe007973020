"""Bringing a domain back to a source that gives its move up."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from domwarden.contract import EngineError

from . import moves
from .monitor import Session
from .observe import FAILED, UNDER_WAY

CANCEL_TIMEOUT_SECONDS = 2.0
SETTLE_SECONDS = 15.0
#: How long a destination that was just killed may keep the lock of an image.
LOCK_SECONDS = 5.0


async def cancel(name: str, session: Session) -> dict[str, Any]:
    """End a migration that is under way; returns QEMU's last word about it."""
    answer: dict[str, Any] = {}
    # At the switchover the main loop may hang with the destination: then cut the stream instead.
    try:
        answer = await session.execute("query-migrate", timeout_seconds=CANCEL_TIMEOUT_SECONDS)
        if answer.get("status") not in UNDER_WAY:
            return answer
        await session.execute("migrate_cancel", timeout_seconds=CANCEL_TIMEOUT_SECONDS)
    except EngineError:
        # A cancel that is queued behind it finds nothing left to cancel.
        with contextlib.suppress(EngineError):
            await session.execute(
                "yank", moves.MIGRATION_YANK, timeout_seconds=CANCEL_TIMEOUT_SECONDS, oob=True
            )
        answer = answer or await session.execute("query-migrate", timeout_seconds=SETTLE_SECONDS)
    try:
        async with asyncio.timeout(SETTLE_SECONDS):
            while answer.get("status") in UNDER_WAY:
                await asyncio.sleep(0.01)
                answer = await session.execute("query-migrate", timeout_seconds=SETTLE_SECONDS)
    except TimeoutError as error:
        state = answer.get("status")
        raise EngineError(f"{name}: the move did not end on its own ({state})") from error
    return answer


async def bring_back(name: str, session: Session, *, resume: bool) -> bool:
    """See the domain running or paused; returns whether it lies paused behind a completed move.

    QEMU restarts a guest by itself when a move fails, and does not when it was paused or when the
    stream was complete.
    """
    status = await _settled(session)
    if resume and status != "running" and await _halted(session, status):
        return False
    if resume:
        await _run(name, session, status)
        return False
    if status == "running":
        await session.execute("stop")
        status = await _settled(session)
    if status == "running":
        raise EngineError(f"{name}: it does not stop")
    answer = await session.execute("query-migrate")
    return status == "postmigrate" and answer.get("status") == "completed"


async def _halted(session: Session, status: str) -> bool:
    """Say whether something else than the move stopped the guest, as far as QEMU can tell.

    A save stops it by a command, as an operator does; only a live move (return-path) never does.
    """
    if status in FAILED:
        return True
    answer = await session.execute("query-migrate")
    if status == "postmigrate" and answer.get("status") == "completed":
        return False
    abilities = await session.execute("query-migrate-capabilities")
    live = any(entry["state"] for entry in abilities if entry["capability"] == "return-path")
    return live and status in {"paused", "postmigrate"}


async def _settled(session: Session) -> str:
    """Return the run state once QEMU is through with the switchover."""
    status = (await session.execute("query-status"))["status"]
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SETTLE_SECONDS):
            while status == "finish-migrate":
                await asyncio.sleep(0.01)
                status = (await session.execute("query-status"))["status"]
    return str(status)


async def _run(name: str, session: Session, status: str) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + LOCK_SECONDS
    while status != "running":
        try:
            await session.execute("cont")
        except EngineError as error:
            # A destination that is dying still holds its images' locks for a moment.
            if "lock" not in str(error) or loop.time() > deadline:
                raise
            await asyncio.sleep(0.1)
        status = (await session.execute("query-status"))["status"]
        if status != "running" and loop.time() > deadline:
            raise EngineError(f"{name}: it does not run again ({status})", command="cont")

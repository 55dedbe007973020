"""What both halves of a move say to QEMU and read from it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Any

from domwarden.contract import Definition, EngineError, Progress

from .monitor import Session
from .schema import Options

#: Every capability that one of our moves may have switched on; the others are switched off.
CAPABILITIES = (
    "return-path",
    "pause-before-switchover",
    "late-block-activate",
    "events",
    "auto-converge",
)
#: Takes seconds; returns an empty string if QEMU told nothing for so long.
NextStatus = Callable[[float], Awaitable[str]]
MIGRATION_YANK = {"instances": [{"type": "migration"}]}


async def set_capabilities(session: Session, *wanted: str) -> None:
    """Switch exactly these migration capabilities on."""
    states = [{"capability": name, "state": name in wanted} for name in CAPABILITIES]
    await session.execute("migrate-set-capabilities", {"capabilities": states})


async def set_source(session: Session, definition: Definition, *, live: bool) -> None:
    """Prepare the source; return-path tells a live one of its destination's failure."""
    wanted = ["pause-before-switchover", "events"]
    if live:
        wanted.append("return-path")
        if Options(**definition.options).auto_converge:
            wanted.append("auto-converge")
    await set_capabilities(session, *wanted)
    limits = definition.migration
    await session.execute(
        "migrate-set-parameters",
        {
            "max-bandwidth": limits.bandwidth_bytes_per_second,
            "downtime-limit": max(1, round(limits.downtime_limit_seconds * 1000)),
        },
    )


async def look(session: Session, *, timeout_seconds: float = 10.0) -> tuple[dict[str, Any], str]:
    """Return the answer to ``query-migrate`` with the run state, asked in one breath."""
    status, migration = await asyncio.gather(
        session.execute("query-status", timeout_seconds=timeout_seconds),
        session.execute("query-migrate", timeout_seconds=timeout_seconds),
    )
    return migration, str(status["status"])


@contextlib.asynccontextmanager
async def told(session: Session) -> AsyncGenerator[NextStatus]:
    """Hear QEMU from now on: give what waits for the next status of the move that it tells."""
    async with session.hear("MIGRATION") as heard:

        async def next_status(seconds: float) -> str:
            event: Any = await heard.next(seconds)
            return "" if event is None else str(event["data"]["status"])

        yield next_status


def switchover_seconds(definition: Definition) -> float:
    """Return how long the last part of a live stream may take: a guest stands still meanwhile."""
    limit = definition.migration.downtime_limit_seconds
    return limit + Options(**definition.options).switchover_timeout


def progress(answer: Mapping[str, Any]) -> Progress:
    """Read ``query-migrate``; QEMU counts ``mbps`` in 10**6 bits a second, dirt in pages."""
    ram = answer.get("ram", {})
    rate = ram.get("mbps", 0.0) * 1e6 / 8
    dirty = ram.get("dirty-pages-rate", 0) * ram.get("page-size", 4096)
    expected = answer.get("expected-downtime")
    return Progress(
        total_bytes=ram.get("total", 0),
        transferred_bytes=ram.get("transferred", 0),
        remaining_bytes=ram.get("remaining", 0),
        rate_bytes_per_second=rate or None,
        dirty_rate_bytes_per_second=float(dirty),
        expected_downtime_seconds=None if expected is None else expected / 1000,
        iteration=ram.get("dirty-sync-count", 0),
    )


def failure(name: str, answer: Mapping[str, Any]) -> EngineError:
    """Return the error for a migration that ended without success."""
    reason = answer.get("error-desc") or f"QEMU says {answer.get('status', 'none')}"
    return EngineError(f"{name}: the transfer failed: {reason}", command="migrate")

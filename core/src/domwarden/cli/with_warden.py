"""Runs one verb's coroutine with this host's warden."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from domwarden.cli.options import host_file
from domwarden.migration.spare import Spare
from domwarden.warden import Warden

ResultT = TypeVar("ResultT")


def run(
    host_path: Path | None,
    verb: Callable[[Warden], Awaitable[ResultT]],
    *,
    fenced: tuple[str, ...] = (),
    driver: subprocess.Popen[bytes] | None = None,
) -> ResultT:
    """Open the warden, await ``verb(warden)``, close the warden; raises what the verb raises.

    ``driver`` is a process that waits to drive a move.
    """
    loaded = host_file(host_path)
    spare = Spare(driver) if driver is not None else None

    async def inner() -> ResultT:
        async with Warden(loaded, fenced=fenced, spare=spare) as warden:
            return await verb(warden)

    return asyncio.run(inner())

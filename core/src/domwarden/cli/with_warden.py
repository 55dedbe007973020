"""Runs one verb's coroutine with this host's warden."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from domwarden.cli.options import host_file
from domwarden.warden import Warden

ResultT = TypeVar("ResultT")


def run(
    host_path: Path | None,
    verb: Callable[[Warden], Awaitable[ResultT]],
    *,
    fenced: tuple[str, ...] = (),
) -> ResultT:
    """Open the warden, await ``verb(warden)``, close the warden; raises what the verb raises."""
    loaded = host_file(host_path)

    async def inner() -> ResultT:
        async with Warden(loaded, fenced=fenced) as warden:
            return await verb(warden)

    return asyncio.run(inner())

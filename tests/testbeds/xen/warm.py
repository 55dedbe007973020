"""Runs scripts in dom0 without the seconds that a new Python needs to import domwarden."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from .host import Host

_FORKER = Path(__file__).with_name("forker.py")
_PLACE = "/var/test/forker.py"
_SOCKET = "/run/forker"
_LOG = "/run/forker.log"
_START_SECONDS = 120.0


async def start(host: Host) -> None:
    """Start what scripts are forked from, unless it runs already; raises TimeoutError."""
    if (await host.run(["test", "-S", _SOCKET])).status == 0:
        return
    await host.put(_PLACE, _FORKER.read_bytes())
    command = f"exec python3 {_PLACE} {_SOCKET} > {_LOG} 2>&1 < /dev/null"
    await host.output("setsid", "-f", "sh", "-c", command)
    try:
        async with asyncio.timeout(_START_SECONDS):
            while (await host.run(["test", "-S", _SOCKET])).status:  # noqa: ASYNC110 - another machine's doing
                await asyncio.sleep(0.5)
    except TimeoutError:
        said = (await host.get(_LOG)).decode(errors="replace")
        raise TimeoutError(f"{host.name}: nothing to fork from: {said}") from None


async def run(host: Host, script: str, *arguments: str) -> str:
    """Run a Python script that is in dom0; return all that it printed once it has ended."""
    async with host.channel.stream(unix=_SOCKET) as (reader, writer):
        writer.write(json.dumps([script, *arguments]).encode() + b"\n")
        await writer.drain()
        return (await reader.read(-1)).decode(errors="replace")

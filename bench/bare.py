"""The peer of a migration: what a careful person's script does with QEMU and QMP alone.

It knows nothing of domwarden and writes nothing down. Called as a program it reads one request as
JSON from standard input and prints its answer as JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import select
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from qemu.qmp import EventListener, QMPClient

#: The descriptors on which this command line expects its sockets.
SOCKETS = {"control": 10, "events": 11, "move": 12, "console": 13}
#: The same settings as domwarden's on either end (docs: QEMU's migration capabilities).
SOURCE = ("return-path", "pause-before-switchover", "events")
DESTINATION = ("return-path", "pause-before-switchover", "events", "late-block-activate")
LIMIT_SECONDS = 60.0


def spawn(argv: Sequence[str], directory: Path) -> int:
    """Start QEMU detached, with its sockets in the directory; returns its pid."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    actions: list[tuple[Any, ...]] = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)]
    log = str(directory / "qemu.log")
    actions.append((os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))
    actions.append((os.POSIX_SPAWN_DUP2, 1, 2))
    listeners = []
    for name, number in SOCKETS.items():
        path = directory / name
        path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(path))
        listener.listen(8)
        # Out of the way of the numbers that QEMU's ends get.
        high = os.dup2(listener.fileno(), 100 + number, inheritable=False)
        actions.append((os.POSIX_SPAWN_DUP2, high, number))
        listeners += [listener, socket.socket(fileno=high)]
    try:
        return os.posix_spawnp(argv[0], list(argv), os.environ, file_actions=actions, setsid=True)
    finally:
        for listener in listeners:
            listener.close()


async def connect(path: Path) -> QMPClient:
    """Return a negotiated client."""
    client = QMPClient(path.parent.parent.parent.parent.name)
    async with asyncio.timeout(LIMIT_SECONDS):
        await client.connect(str(path))
    return client


async def migrated(events: EventListener, wanted: str) -> None:
    """Wait until the migration's status is the wanted one; raises RuntimeError when it failed."""
    async with asyncio.timeout(LIMIT_SECONDS):
        async for event in events:
            data: Any = event["data"]
            status = data["status"]
            if status == wanted:
                return
            if status in ("failed", "cancelled"):
                raise RuntimeError(f"the migration is {status}")


async def ended(pid: int) -> None:
    """Wait until the process has ended."""
    handle = os.pidfd_open(pid)
    try:
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        if not await asyncio.to_thread(poll.poll, LIMIT_SECONDS * 1000):
            raise RuntimeError(f"QEMU {pid} did not end")
    finally:
        os.close(handle)


async def move(request: Mapping[str, Any]) -> dict[str, Any]:
    """Migrate, let the guest run over there, and end the source.

    Returns the new ``pid``, and when each part of it was over (``time.monotonic``).
    """
    over: dict[str, float] = {"": time.monotonic()}
    here, there = Path(request["source"]), Path(request["destination"])
    pid = spawn(request["argv"], there)
    destination = await connect(there / "control")
    address = f"unix:{there / 'incoming'}"
    await destination.execute("migrate-set-capabilities", _on(DESTINATION))
    await destination.execute("migrate-incoming", {"uri": address})
    over["listen"] = time.monotonic()
    source = await connect(here / "control")
    await source.execute("migrate-set-capabilities", _on(SOURCE))
    await source.execute("migrate-set-parameters", request["parameters"])
    with (
        source.listener("MIGRATION") as leaving,
        destination.listener("MIGRATION") as arriving,
        destination.listener("RESUME") as resumed,
    ):
        await source.execute("migrate", {"uri": address})
        await migrated(leaving, "pre-switchover")
        over["precopy"] = time.monotonic()
        await source.execute("migrate-continue", {"state": "pre-switchover"})
        await migrated(leaving, "completed")
        over["complete"] = time.monotonic()
        await migrated(arriving, "completed")
        over["receive"] = time.monotonic()
        await destination.execute("cont")
        async with asyncio.timeout(LIMIT_SECONDS):
            await resumed.get()
        over["activate"] = time.monotonic()
    await source.execute("quit")
    await ended(request["source_pid"])
    over["stop"] = time.monotonic()
    for client in (source, destination):
        try:
            await client.disconnect()
        except EOFError:
            pass  # the source's end was asked for
    return {"pid": pid, "over": over}


def _on(names: Sequence[str]) -> dict[str, Any]:
    return {"capabilities": [{"capability": name, "state": True} for name in names]}


if __name__ == "__main__":
    json.dump(asyncio.run(move(json.load(sys.stdin))), sys.stdout)

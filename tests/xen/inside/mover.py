"""Runs in dom0: one end of moves; reads a command a line, writes what came of it a line.

``mover.py HOST ADDRESS``.  It rebuilds the halves of a move for each command, as a warden does that
was started again between any two of them.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from domwarden.contract import Definition, EngineError, Host, MigrationSettings, Stream
from domwarden_xen.engine import XenEngine

NAME = "mover1"
STATE = Path("/var/test/mover")
DEFINITION = Definition(
    name=NAME,
    uuid="6b697431-0000-4000-8000-000000000002",
    engine="xen",
    memory_bytes=128 * 2**20,
    boot={
        "kernel": "/guest/vmlinux",
        "initrd": "/guest/initrd.gz",
        "cmdline": "console=hvc0 quiet mitigations=off cryptomgr.notests random.trust_cpu=on",
    },
    migration=MigrationSettings(timeout_seconds=400.0),
)


class NoDevices:
    """A domain with nothing beside it."""

    def ask(self, hook: str, **_arguments: Any) -> dict[str, Any]:
        return {}


async def perform(engine: XenEngine, live: Definition, order: Mapping[str, Any]) -> Any:
    """Do one thing, and return what is to be said about it."""
    verb, move = order["do"], order.get("move", "")
    outgoing, incoming = engine.outgoing(live, move), engine.incoming(NAME, move)
    if verb == "observe":
        return (await engine.observe(NAME)).state
    if verb == "start":
        return await engine.start(live, NoDevices())
    if verb == "stop":
        return await engine.stop(NAME)
    if verb == "listen":
        return await incoming.listen(live, NoDevices(), order.get("source"))
    if verb == "precopy":
        told: list[Any] = []
        await outgoing.precopy(order["address"], told.append)
        await outgoing.suspend()
        return told[-1].transferred_bytes
    if verb == "complete":
        return await outgoing.complete(lambda _progress: None)
    if verb == "abort":
        return await outgoing.abort(resume=True)
    if verb == "activate":
        return await incoming.activate(run=True)
    return await {"received": incoming.received, "discard": incoming.discard}[verb]()


async def main() -> None:
    name, address = sys.argv[1:]
    # Plain: there are no certificates here, and an emulated processor encrypts slowly.
    settings = {"xen": {"migration_address": address}}
    engine = XenEngine(Host(name, STATE, settings, streams=Stream.PLAIN))
    live = await engine.realize(DEFINITION, NoDevices())
    loop = asyncio.get_running_loop()
    print(json.dumps({"said": "ready"}), flush=True)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        try:
            answer = {"said": await perform(engine, live, json.loads(line))}
        except EngineError as error:
            answer = {"error": str(error)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    asyncio.run(main())

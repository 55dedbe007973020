"""Bare QEMU processes without a guest, made of the driver's own arguments."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from domwarden.contract import QemuArgument
from domwarden.testing.require import absent

from .qmp_wire import WireControl, control

PROGRAM = "qemu-system-x86_64"


def require_qemu() -> None:
    for program in (PROGRAM, "qemu-img"):
        if shutil.which(program) is None:
            absent("qemu", f"{program} is not installed")


@contextlib.asynccontextmanager
async def qemu(
    directory: Path, arguments: Sequence[QemuArgument], *more: str
) -> AsyncIterator[WireControl]:
    socket = directory / "qmp.sock"
    command = [PROGRAM, "-nodefaults", "-machine", "q35,accel=tcg", "-m", "64", "-display", "none"]
    command += ["-qmp", f"unix:{socket},server=on,wait=off", *more]
    for argument in arguments:
        command += [f"-{argument.option}", json.dumps(dict(argument.value))]
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with control(socket) as client:
            client.pid = process.pid
            yield client
    finally:
        if process.returncode is None:
            process.kill()
        _, said = await process.communicate()
        sys.stderr.write(said.decode())


async def write(client: WireControl, pattern: int, offset: int, length: int) -> None:
    """Write to the disk as its card does."""
    line = (
        f'qemu-io -d /machine/peripheral/root/virtio-backend "write -P {pattern} {offset} {length}"'
    )
    said = await client.execute("human-monitor-command", {"command-line": line})
    assert not said or "wrote" in said, said


async def migrate_to_switchover(client: WireControl, uri: str) -> None:
    await client.execute("migrate", {"uri": uri})
    await migration_state(client, "pre-switchover")


async def migration_state(client: WireControl, wanted: str) -> None:
    async with asyncio.timeout(30):
        while (state := (await status(client)).get("status")) != wanted:
            assert state not in ("failed", "cancelled"), state
            await asyncio.sleep(0.02)


async def status(client: WireControl) -> dict[str, Any]:
    return dict(await client.execute("query-migrate"))


async def capabilities(client: WireControl, *names: str) -> None:
    wanted = [{"capability": name, "state": True} for name in names]
    await client.execute("migrate-set-capabilities", {"capabilities": wanted})

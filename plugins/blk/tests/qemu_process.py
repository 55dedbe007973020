"""Bare QEMU processes without a guest, made of the driver's own arguments."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from domwarden.contract import QemuArgument
from domwarden.testing.qmp import QmpControl, bare_qemu
from domwarden.testing.require import program


def require_qemu() -> None:
    for name in ("qemu-system-x86_64", "qemu-img", "qemu-io"):
        program("qemu", name)


@contextlib.asynccontextmanager
async def qemu(
    directory: Path, arguments: Sequence[QemuArgument], *more: str
) -> AsyncIterator[QmpControl]:
    """Run QEMU; its process is named in the directory for tests that hurt it."""
    async with bare_qemu(arguments, "-pidfile", str(directory / "pid"), *more) as control:
        yield control


def freeze(directory: Path) -> None:
    """Stop the process as if its host hung."""
    os.kill(int((directory / "pid").read_text()), signal.SIGSTOP)


async def write(client: QmpControl, pattern: int, offset: int, length: int) -> None:
    """Write to the disk as its card does."""
    line = (
        f'qemu-io -d /machine/peripheral/root/virtio-backend "write -P {pattern} {offset} {length}"'
    )
    said = await client.execute("human-monitor-command", {"command-line": line})
    assert not said or "wrote" in said, said


async def migrate_to_switchover(client: QmpControl, uri: str) -> None:
    await client.execute("migrate", {"uri": uri})
    await migration_state(client, "pre-switchover")


async def migration_state(client: QmpControl, wanted: str) -> None:
    async with asyncio.timeout(30):
        while (state := (await status(client)).get("status")) != wanted:
            assert state not in ("failed", "cancelled"), state
            await asyncio.sleep(0.02)


async def status(client: QmpControl) -> dict[str, Any]:
    return dict(await client.execute("query-migrate"))


async def capabilities(client: QmpControl, *names: str) -> None:
    wanted = [{"capability": name, "state": True} for name in names]
    await client.execute("migrate-set-capabilities", {"capabilities": wanted})

"""Runs in dom0: the engine contract kit on this very Xen; ``contract.py CHECK`` prints its verdict.

The kit wants two hosts.  These checks move nothing, so the second one is another state directory on
the same Xen, which must know nothing of the first one's domain.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import subprocess
import sys
import tempfile
import time
import traceback
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from domwarden.contract import Action, Definition, Engine, EngineError, Host, Room, WatchdogEntry
from domwarden.testing.console import Console
from domwarden.testing.engines import bench as kit
from domwarden.testing.engines import engine_checks
from domwarden_xen.engine import XenEngine

CHECK = sys.argv[1]
#: Of each check its own: several of them share this Xen.
UUID = str(uuid.uuid5(uuid.UUID("6b697431-0000-4000-8000-000000000001"), CHECK))
NAME = f"kit-{UUID[:8]}"
#: All of the kit's seconds last so much longer, the guest's own too: under TCG it kicks late, and
#: each question to Xen takes a second of its own.
SLOWER = 4.0
LIMIT_SECONDS = 600.0
BOOT_SECONDS = 240.0


class FixedRoom:
    """The watchdog's answer, as its driver gives it for action reset."""

    def ask(self, hook: str, **_arguments: Any) -> dict[str, Any]:
        assert hook == "xl_config"
        return {"watchdog": {"on_watchdog": "restart"}}


def definition() -> Definition:
    return Definition(
        name=NAME,
        uuid=UUID,
        engine="xen",
        memory_bytes=128 * 2**20,
        boot={
            "kernel": "/guest/vmlinux",
            "initrd": "/guest/initrd.gz",
            "cmdline": "console=hvc0 quiet pci=off mitigations=off init_on_alloc=0"
            " cryptomgr.notests random.trust_cpu=on",
        },
        watchdog=WatchdogEntry("xen_wdt", timeout_seconds=20.0, action=Action.RESET),
        options={"type": "pvh"},
    )


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout


async def _terminal(path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    flags = os.O_NOCTTY | os.O_NONBLOCK
    received = os.fdopen(os.open(path, os.O_RDONLY | flags), "rb", buffering=0)
    sent = os.fdopen(os.open(path, os.O_WRONLY | flags), "wb", buffering=0)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), received)
    transport, protocol = await loop.connect_write_pipe(
        lambda: asyncio.streams.FlowControlMixin(loop=loop), sent
    )
    return reader, asyncio.StreamWriter(transport, protocol, None, loop)


@contextlib.asynccontextmanager
async def console() -> AsyncIterator[Console]:
    """Enter the guest's console once its shell answers, whatever domid it has by now."""
    deadline = time.monotonic() + BOOT_SECONDS
    while True:
        try:
            domid = (await asyncio.to_thread(_output, "xl", "domid", NAME)).strip()
            path = await asyncio.to_thread(
                _output, "xenstore-read", f"/local/domain/{domid}/console/tty"
            )
            ends = await _terminal(path.strip())
        except (subprocess.CalledProcessError, OSError):
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.5)  # it is between two domids
            continue
        async with Console.over(*ends) as made:
            with contextlib.suppress(TimeoutError):
                await made.wait_ready(timeout_seconds=90.0)
                yield made
                return
        if time.monotonic() > deadline:
            raise TimeoutError(f"the guest did not answer:\n{made.tail()}")


@dataclasses.dataclass
class XenBench:
    """The kit's hand on this Xen and inside the guest."""

    source: Engine
    destination: Engine
    definition: Definition
    directory: Path

    def room(self, _engine: Engine) -> Room:
        return FixedRoom()

    async def answers(self, _engine: Engine) -> bool:
        async with console():
            return True

    async def uptime(self, _engine: Engine) -> float:
        async with console() as guest:
            return float(await guest.command("uptime")) / SLOWER

    async def guard(self, _engine: Engine, timeout_seconds: int) -> None:
        # The kit reads how much is left of a long one: that is not to be stretched.
        slower = SLOWER if timeout_seconds < 10 else 1.0
        async with console() as guest:
            await guest.command(f"watchdog start {round(timeout_seconds * slower)}")

    async def hang(self, _engine: Engine) -> None:
        async with console() as guest:
            await guest.command("hang irqs-off")

    async def pass_seconds(self, seconds: float) -> None:
        await asyncio.sleep(seconds * (SLOWER if seconds >= 1 else 1))

    def now_seconds(self) -> float:
        return time.monotonic() / SLOWER


@contextlib.asynccontextmanager
async def bench() -> AsyncIterator[XenBench]:
    with tempfile.TemporaryDirectory(prefix="kit-") as directory:
        root = Path(directory)
        source, destination = (XenEngine(Host(name, root / name)) for name in "ab")
        try:
            yield XenBench(source, destination, definition(), root)
        finally:
            with contextlib.suppress(EngineError):
                await asyncio.wait_for(source.stop(NAME), LIMIT_SECONDS)


async def main() -> None:
    kit.LIMIT_SECONDS *= SLOWER  # it is thought for engines that answer in no time
    checks = {check.__name__: check for check in engine_checks()}
    try:
        async with asyncio.timeout(LIMIT_SECONDS):
            await checks[CHECK](bench)
        print("kept")
    except Exception:  # noqa: BLE001 - whatever broke it is the verdict
        traceback.print_exc()


if __name__ == "__main__":
    asyncio.run(main())

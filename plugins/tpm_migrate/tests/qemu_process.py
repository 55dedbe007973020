"""Bare QEMU processes whose guest is the test, made of the driver's own arguments."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from domwarden.contract import QemuArgument
from domwarden.testing.qmp import QmpControl, bare_qemu
from domwarden.testing.require import program

from .qtest import Guest, guest


def require_programs() -> None:
    program("qemu", "qemu-system-x86_64")
    program("swtpm", "swtpm")


@contextlib.asynccontextmanager
async def qemu(
    directory: Path, arguments: Sequence[QemuArgument], *more: str
) -> AsyncIterator[tuple[QmpControl, Guest]]:
    firmware, qtest = directory / "halt.bin", directory / "qtest.sock"
    firmware.write_bytes(b"\xf4" * 65536)  # HLT everywhere: nobody but the test uses the TPM
    words = ["-bios", str(firmware), "-qtest", f"unix:{qtest},server=on,wait=off"]
    words += ["-qtest-log", "none", *more]
    devices = []
    for argument in arguments:
        if argument.option == "device":
            devices.append(argument)
        else:  # these options know no JSON
            pairs = ",".join(f"{key}={value}" for key, value in argument.value.items())
            words += [f"-{argument.option}", pairs]
    async with bare_qemu(devices, *words) as control, guest(qtest) as driven:
        yield control, driven


async def migrate(source: QmpControl, destination: QmpControl, directory: Path) -> None:
    uri = f"unix:{directory}/stream"
    wanted = [{"capability": "return-path", "state": True}]
    for client in (destination, source):
        await client.execute("migrate-set-capabilities", {"capabilities": wanted})
    await destination.execute("migrate-incoming", {"uri": uri})
    await source.execute("migrate", {"uri": uri})
    async with asyncio.timeout(30):
        for client in (source, destination):
            while (state := (await client.execute("query-migrate"))["status"]) != "completed":
                assert state != "failed"
                await asyncio.sleep(0.02)

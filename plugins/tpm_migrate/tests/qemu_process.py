"""Bare QEMU processes whose guest is the test, made of the driver's own arguments."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from domwarden.contract import QemuArgument
from domwarden.testing.require import absent

from .qmp_wire import WireControl, control
from .qtest import Guest, guest

PROGRAM = "qemu-system-x86_64"


def require_programs() -> None:
    for feature, program in (("qemu", PROGRAM), ("swtpm", "swtpm")):
        if shutil.which(program) is None:
            absent(feature, f"{program} is not installed")


def render(argument: QemuArgument) -> list[str]:
    if argument.option == "device":
        return ["-device", json.dumps(dict(argument.value))]
    return [f"-{argument.option}", ",".join(f"{k}={v}" for k, v in argument.value.items())]


@contextlib.asynccontextmanager
async def qemu(
    directory: Path, arguments: Sequence[QemuArgument], *more: str
) -> AsyncIterator[tuple[WireControl, Guest]]:
    qmp, qtest = directory / "qmp.sock", directory / "qtest.sock"
    firmware = directory / "halt.bin"
    firmware.write_bytes(b"\xf4" * 65536)  # HLT everywhere: nobody but the test uses the TPM
    command = [PROGRAM, "-nodefaults", "-machine", "q35,accel=tcg", "-m", "64", "-bios", firmware]
    command += ["-display", "none", "-qmp", f"unix:{qmp},server=on,wait=off"]
    command += ["-qtest", f"unix:{qtest},server=on,wait=off", "-qtest-log", "none", *more]
    for argument in arguments:
        command += render(argument)
    process = await asyncio.create_subprocess_exec(
        *map(str, command), stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with control(qmp) as client, guest(qtest) as driven:
            client.pid = process.pid
            yield client, driven
    finally:
        if process.returncode is None:
            process.kill()
        _, said = await process.communicate()
        sys.stderr.write(said.decode())


async def migrate(source: WireControl, destination: WireControl, directory: Path) -> None:
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

"""The file on the destination that a mirror fills."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from domwarden.contract import PermanentError
from domwarden_blk.files import create, remove, sync_directory, sync_file
from domwarden_blk.image import Format

_TIMEOUT_SECONDS = 60.0


async def make_target(path: Path, image_format: Format, size_bytes: int) -> None:
    """Create an empty image of that size where nothing is; raises PermanentError.

    One that an interrupted call of the same migration left (the name says so) is made anew.
    """
    await asyncio.to_thread(remove, path)
    if image_format is Format.RAW:
        await asyncio.to_thread(create, path, size_bytes=size_bytes)
        return
    # qemu-img would overwrite an existing file, so the name is taken exclusively first.
    await asyncio.to_thread(create, path)
    await _run(["qemu-img", "create", "-q", "-f", "qcow2", str(path), str(size_bytes)])
    await asyncio.to_thread(sync_file, path)
    await asyncio.to_thread(sync_directory, path.parent)


async def _run(command: list[str]) -> None:
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        raise PermanentError(f"cannot run {command[0]}: {error.strerror}") from error
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            _, said = await process.communicate()
    except TimeoutError:
        raise PermanentError(f"{command[0]} did not end in {_TIMEOUT_SECONDS:g} s") from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode:
        lines = said.decode(errors="replace").strip().splitlines() or ["it said nothing"]
        raise PermanentError(f"{command[0]} failed: {lines[-1]}")

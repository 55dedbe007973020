"""Calling the host's external tool, with the arguments that Xend's tools knew."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal

from domwarden.contract import Domain, PermanentError, Step
from domwarden_tpm_migrate.options import ToolSettings

_ERROR = re.compile(r"\bError\b")
_OUTPUT_LIMIT_BYTES = 64 * 1024
#: For the output's end after the group was killed; one that left the group is let be.
_DRAIN_SECONDS = 2.0


def arguments(domain: Domain, step: Step, *, recover: bool = False) -> list[str]:
    """Return what follows the configured command.

    ``-type vtpm -step N -host DST -domname NAME [-recover]``; N is 0 to 3, and on recovery the last
    step that was begun; DST is the other host, in a save the save's path.
    """
    fixed = [
        "-type",
        "vtpm",
        "-step",
        str(int(step)),
        "-host",
        domain.peer,
        "-domname",
        domain.name,
    ]
    return [*fixed, "-recover"] if recover else fixed


async def call(settings: ToolSettings, more: list[str]) -> None:
    """Run the tool; raises PermanentError when it fails.

    It fails by a non-zero exit, by any line of output with the word ``Error``, or by taking longer
    than its time-out, which ends it and whatever it started.
    """
    command = [*settings.command, *more]
    name = command[0]
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        raise PermanentError(f"cannot run the TPM tool {name}: {error.strerror}") from error
    ended = False
    try:
        async with asyncio.timeout(settings.timeout_seconds):
            output = await _read(process)
            status = await process.wait()
        ended = True
    except TimeoutError:
        raise PermanentError(
            f"the TPM tool {name} did not end in {settings.timeout_seconds:g} s"
        ) from None
    finally:
        if not ended:
            # The whole group: the tool itself may be gone, and a child of it hold the output.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_DRAIN_SECONDS):
                    await process.communicate()
    lines = output.decode(errors="replace").splitlines()
    wrong = next((line.strip() for line in lines if _ERROR.search(line)), None)
    if status:
        said = wrong or next((line.strip() for line in reversed(lines) if line.strip()), "nothing")
        raise PermanentError(
            f"the TPM tool {name} failed with status {status}, saying: {said:.200}"
        )
    if wrong is not None:
        raise PermanentError(f"the TPM tool {name} failed, saying: {wrong:.200}")


async def _read(process: asyncio.subprocess.Process) -> bytes:
    """Read all output, keeping its beginning."""
    assert process.stdout is not None  # a pipe was asked for
    kept = bytearray()
    while piece := await process.stdout.read(_OUTPUT_LIMIT_BYTES):
        kept += piece[: _OUTPUT_LIMIT_BYTES - len(kept)]
    return bytes(kept)

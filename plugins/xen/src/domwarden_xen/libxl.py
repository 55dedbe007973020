"""What ``xl`` has no command for, done by libxl itself in a process of its own."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from domwarden.contract import EngineError, OutcomeUnknownError

#: libxl talks to xenstore, to Xen and to a device model that may be slow.
RESUME_SECONDS = 30.0
_CALL = Path(__file__).with_name("libxlcall.py")


async def resume(domid: int, *, cooperative: bool = True) -> None:
    """Let a domain that shut down run again; the caller looks whether it does.

    ``cooperative``: the guest suspended itself and is told that it was cancelled; else it just goes
    on (``suspend_cancel`` of libxl_domain_resume).  Raises EngineError; OutcomeUnknownError when
    libxl is silent.  A process of its own, because a library that hangs or crashes must not take
    the driver of a move with it.
    """
    command = [sys.executable, "-I", "-S", str(_CALL), str(domid), "1" if cooperative else "0"]
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
        | {key: value for key, value in os.environ.items() if key == "LD_LIBRARY_PATH"},
    )
    try:
        async with asyncio.timeout(RESUME_SECONDS):
            _, errors = await process.communicate()
    except TimeoutError:
        raise OutcomeUnknownError(
            f"libxl_domain_resume of domain {domid}: silent for {RESUME_SECONDS:g} s",
            command="libxl_domain_resume",
        ) from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        words = errors.decode(errors="replace").strip().splitlines()
        raise EngineError(
            f"libxl_domain_resume of domain {domid}: {words[-1] if words else 'no reason'}",
            command="libxl_domain_resume",
        )

"""Seeing that xl has asked a guest to suspend itself."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from domwarden.contract import EngineError


class Suspender:
    """Looks at ``control/shutdown`` of one domain in xenstore (public/io/xenbus.h, xenstore-paths).

    libxl writes ``suspend`` there and the guest empties it as its answer, within 60 s.  A paused
    guest cannot: it is let run for that moment, so that it suspends itself and arrives suspended.
    """

    def __init__(self, domid: int, xl: str) -> None:
        # A toolstack with a place of its own has all its programs there.
        beside = Path(xl).with_name("xenstore-read")
        program = str(beside) if beside.is_file() else beside.name
        self._command = [program, f"/local/domain/{domid}/control/shutdown"]

    async def asked(self) -> bool:
        """Say whether the request lies there; raises EngineError without xenstore's tools."""
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
            )
        except OSError as error:
            raise EngineError(
                f"{self._command[0]}: {error.strerror}",
                hint="a paused domain moves only with xenstore's tools (xenstore-utils)",
            ) from error
        output = b""
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(10.0):
                    output, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return output.strip() == b"suspend"

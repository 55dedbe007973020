"""The tests' end of the agent in dom0: one TCP connection a request."""

from __future__ import annotations

import asyncio
import json
import shlex
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

_LINE_BYTES = 1 << 20
#: How much longer than the agent we wait, so that its answer comes first.
_GRACE_SECONDS = 15.0


class Dom0Error(Exception):
    """A request that dom0 could not do; the message says which, and what came of it."""


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it printed."""

    command: Sequence[str]
    #: None: it was killed at the time-out
    status: int | None
    stdout: str
    stderr: str

    def check(self) -> str:
        """Return what it printed; raises Dom0Error unless it exited with 0."""
        if self.status != 0:
            ended = "was killed at the time-out" if self.status is None else f"gave {self.status}"
            raise Dom0Error(f"{shlex.join(self.command)} {ended}\n{self.stdout}{self.stderr}")
        return self.stdout


@dataclass(frozen=True)
class Channel:
    """The port on loopback that leads to the agent of one host."""

    port: int

    async def run(
        self,
        command: Sequence[str],
        *,
        timeout_seconds: float = 60.0,
        stdin: bytes = b"",
        environment: Mapping[str, str] | None = None,
    ) -> Done:
        """Run a command in dom0 to its end; at the time-out it is killed with all its children.

        Raises Dom0Error when it cannot be started, TimeoutError when dom0 does not answer.
        """
        request = {
            "kind": "run",
            "command": [str(word) for word in command],
            "timeout_seconds": timeout_seconds,
            "size": len(stdin),
            "environment": dict(environment or {}),
        }
        async with asyncio.timeout(timeout_seconds + _GRACE_SECONDS):
            async with self._asked(request, stdin) as (answer, reader, _):
                stdout = await reader.readexactly(answer["stdout"])
                stderr = await reader.readexactly(answer["stderr"])
        texts = (stdout.decode(errors="replace"), stderr.decode(errors="replace"))
        return Done(request["command"], answer["status"], *texts)

    async def put(
        self, path: str, content: bytes, *, mode: int = 0o644, timeout_seconds: float = 60.0
    ) -> None:
        """Write a file in dom0, whole or not at all; raises Dom0Error when it cannot be."""
        request = {"kind": "put", "path": path, "size": len(content), "mode": mode}
        async with asyncio.timeout(timeout_seconds), self._asked(request, content):
            pass

    async def get(self, path: str, *, timeout_seconds: float = 60.0) -> bytes:
        """Return a file of dom0's; raises Dom0Error when there is none."""
        async with asyncio.timeout(timeout_seconds):
            async with self._asked({"kind": "get", "path": path}) as (answer, reader, _):
                return await reader.readexactly(answer["size"])

    @asynccontextmanager
    async def stream(
        self, *, timeout_seconds: float = 15.0, **target: Any
    ) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """Enter a stream of bytes to one thing in dom0.

        `unix=PATH`, `tcp=[HOST, PORT]`, `terminal=PATH` or `command=[...]`: then standard
        input and output are joined, and it is killed when the stream is left.
        Raises Dom0Error when there is nothing to join.
        """
        async with self._asked(
            {"kind": "stream", **target}, timeout_seconds=timeout_seconds
        ) as asked:
            yield asked[1], asked[2]

    @asynccontextmanager
    async def _asked(
        self, request: Mapping[str, Any], content: bytes = b"", *, timeout_seconds: float = 3600.0
    ) -> AsyncIterator[tuple[dict[str, Any], asyncio.StreamReader, asyncio.StreamWriter]]:
        """Send a request; enter with its answer, and with what follows."""
        async with asyncio.timeout(timeout_seconds):
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", self.port, limit=_LINE_BYTES
            )
        try:
            async with asyncio.timeout(timeout_seconds):
                writer.write(json.dumps(request).encode() + b"\n" + content)
                await writer.drain()
                line = await reader.readline()
            if not line:
                raise Dom0Error(f"dom0 closed the connection: {json.dumps(request)[:200]}")
            answer = json.loads(line)
            if "error" in answer:
                raise Dom0Error(f"{json.dumps(request)[:200]}: {answer['error']}")
            yield answer, reader, writer
        finally:
            writer.close()

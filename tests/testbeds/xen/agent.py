"""Runs in dom0: serves commands, files and byte streams over TCP, one request a connection.

A request is one line of JSON and the bytes it announces; an answer likewise. Only the standard
library of Debian's Python is needed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

_LINE_BYTES = 1 << 20
_PIECE_BYTES = 1 << 18


class RequestError(Exception):
    """The request cannot be done; the message says why."""


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer one connection."""
    try:
        request = json.loads(await reader.readline())
        kind = request.pop("kind")
        if kind == "run":
            await _run(reader, writer, **request)
        elif kind == "put":
            await _put(reader, writer, **request)
        elif kind == "get":
            content = await asyncio.to_thread(Path(request["path"]).read_bytes)
            await _answer(writer, {"size": len(content)}, content)
        elif kind == "stream":
            await _stream(reader, writer, **request)
        else:
            raise RequestError(f"unknown kind of request: {kind}")
    except (OSError, ValueError, KeyError, RequestError) as error:
        with contextlib.suppress(OSError):
            await _answer(writer, {"error": f"{type(error).__name__}: {error}"})
    finally:
        writer.close()


async def _answer(writer: asyncio.StreamWriter, answer: dict[str, Any], *content: bytes) -> None:
    writer.write(json.dumps(answer).encode() + b"\n")
    for piece in content:
        writer.write(piece)
    await writer.drain()


async def _run(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    *,
    command: list[str],
    timeout_seconds: float,
    size: int,
    environment: dict[str, str],
) -> None:
    """Run to the end, or to the time-out, or until the client has gone: nothing is left behind.

    Output goes through files: a daemon that a command leaves behind may keep them open.
    """
    with (
        tempfile.TemporaryFile() as given,
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
    ):
        given.write(await reader.readexactly(size))
        given.seek(0)
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=given,
            stdout=out,
            stderr=err,
            start_new_session=True,
            env={**os.environ, **environment},
        )
        ended = asyncio.ensure_future(process.wait())
        gone = asyncio.ensure_future(reader.read(1))
        done, _ = await asyncio.wait(
            {ended, gone}, timeout=timeout_seconds, return_when=asyncio.FIRST_COMPLETED
        )
        gone.cancel()
        if ended not in done:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await ended
        out.seek(0)
        err.seek(0)
        printed, complained = out.read(), err.read()
        status = None if ended not in done else process.returncode
        sizes = {"stdout": len(printed), "stderr": len(complained)}
        await _answer(writer, {"status": status, **sizes}, printed, complained)


async def _put(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    *,
    path: str,
    size: int,
    mode: int,
) -> None:
    """Write a file, whole or not at all; directories above it are made."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_name(f"{target.name}.new")
    with fresh.open("wb") as file:
        while size:
            piece = await reader.readexactly(min(size, _PIECE_BYTES))
            size -= len(piece)
            file.write(piece)
    fresh.chmod(mode)
    fresh.rename(target)
    await _answer(writer, {})


async def _stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, **what: Any) -> None:
    """Join the connection to a socket, a terminal, or a command, until one of them ends."""
    async with contextlib.AsyncExitStack() as stack:
        if "tcp" in what:
            there = await asyncio.open_connection(*what["tcp"])
        elif "unix" in what:
            there = await asyncio.open_unix_connection(what["unix"])
        elif "terminal" in what:
            there = await _terminal(what["terminal"])
        else:
            process = await asyncio.create_subprocess_exec(
                *what["command"],
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
            assert process.stdin is not None
            assert process.stdout is not None
            there = process.stdout, process.stdin
            stack.push_async_callback(_end, process)
        stack.callback(there[1].close)
        await _answer(writer, {})
        # A terminal has no half-close: it is left when the client leaves.
        await _join((reader, writer), there, half_close="terminal" not in what)


async def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


async def _terminal(path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a pseudo terminal, such as xenconsoled makes for each guest's console."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    # Two descriptors: each transport closes its own.
    flags = os.O_NOCTTY | os.O_NONBLOCK
    received = os.fdopen(os.open(path, os.O_RDONLY | flags), "rb", buffering=0)
    sent = os.fdopen(os.open(path, os.O_WRONLY | flags), "wb", buffering=0)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), received)
    transport, protocol = await loop.connect_write_pipe(
        lambda: asyncio.streams.FlowControlMixin(loop=loop), sent
    )
    return reader, asyncio.StreamWriter(transport, protocol, None, loop)


async def _join(
    here: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    there: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    *,
    half_close: bool,
) -> None:
    """Copy both ways until the far end ends, or the client where there is no half-close."""
    up = asyncio.ensure_future(_copy(here[0], there[1]))
    down = asyncio.ensure_future(_copy(there[0], here[1]))
    try:
        await asyncio.wait(
            {down} if half_close else {up, down}, return_when=asyncio.FIRST_COMPLETED
        )
    finally:
        up.cancel()
        down.cancel()


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while piece := await source.read(_PIECE_BYTES):
            target.write(piece)
            await target.drain()
        if target.can_write_eof():
            target.write_eof()


async def main(port: int) -> None:
    """Listen for ever."""
    server = await asyncio.start_server(serve, port=port, limit=_LINE_BYTES)
    await asyncio.to_thread(Path("/dev/console").write_text, "\nDOM0-READY\n")
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))

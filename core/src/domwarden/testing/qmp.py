"""QMP as a device driver meets it: a control on a real socket, before a real QEMU or a fake."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

from domwarden.contract import EngineError, OutcomeUnknownError, QemuArgument
from domwarden.testing.require import program

#: What a fake does with a command: it returns the answer, or raises EngineError to refuse it.
#: ``emit(event, data)`` sends an event, before or after the answer.
Emit = Callable[[str, Mapping[str, Any]], None]
Answer = Callable[[str, Mapping[str, Any], Emit], Awaitable[Any]]

BINARY = "qemu-system-x86_64"


class QmpControl:
    """Implements the contract's ``QemuControl`` on one connection; made by the makers below."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._answers: dict[int, asyncio.Future[Mapping[str, Any]]] = {}
        self._listeners: list[tuple[frozenset[str], asyncio.Queue[Mapping[str, Any] | None]]] = []
        self._number = 0
        #: Every command so far, with its arguments.
        self.commands: list[tuple[str, Mapping[str, Any]]] = []

    async def execute(
        self,
        command: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        timeout_seconds: float = 10.0,
    ) -> Any:
        """Run one command."""
        self._number += 1
        number = self._number
        self.commands.append((command, dict(arguments or {})))
        answered = self._answers[number] = asyncio.get_running_loop().create_future()
        request = {"execute": command, "arguments": dict(arguments or {}), "id": number}
        self._writer.write(json.dumps(request).encode() + b"\n")
        try:
            async with asyncio.timeout(timeout_seconds):
                answer = await answered
        except TimeoutError:
            raise OutcomeUnknownError(f"{command}: no answer", command=command) from None
        finally:
            del self._answers[number]
        if "error" in answer:
            raise EngineError(f"{command}: {answer['error']['desc']}", command=command)
        return answer["return"]

    @contextlib.asynccontextmanager
    async def events(self, *names: str) -> AsyncGenerator[AsyncIterator[Mapping[str, Any]]]:
        """Listen for the named events."""
        queue: asyncio.Queue[Mapping[str, Any] | None] = asyncio.Queue()
        listener = (frozenset(names), queue)
        self._listeners.append(listener)

        async def heard() -> AsyncGenerator[Mapping[str, Any]]:
            while (event := await queue.get()) is not None:
                yield event
            raise OutcomeUnknownError("the connection was lost")

        try:
            async with contextlib.aclosing(heard()) as iterator:
                yield iterator
        finally:
            self._listeners.remove(listener)

    async def read_all(self) -> None:
        """Hand on what comes, until the other end is gone."""
        with contextlib.suppress(OSError):
            while line := await self._reader.readline():
                self._take(json.loads(line))
        for answered in self._answers.values():
            if not answered.done():
                answered.set_exception(OutcomeUnknownError("the connection was lost"))
        for _, queue in self._listeners:
            queue.put_nowait(None)

    def _take(self, message: Mapping[str, Any]) -> None:
        if "event" in message:
            for names, queue in self._listeners:
                if message["event"] in names:
                    queue.put_nowait(message)
        elif (answered := self._answers.get(message.get("id", 0))) and not answered.done():
            answered.set_result(message)


@contextlib.asynccontextmanager
async def bare_qemu(arguments: Sequence[QemuArgument], *more: str) -> AsyncGenerator[QmpControl]:
    """Run QEMU (TCG, machine ``pc``) with a driver's arguments; no guest but what ``more`` boots.

    Where there is no QEMU, the calling pytest test is skipped, or fails if it is required.
    """
    program("qemu", BINARY)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        command = [BINARY, "-nodefaults", "-no-user-config", "-display", "none", "-m", "128"]
        command += ["-machine", "pc,accel=tcg", "-chardev", f"socket,id=qmp,fd={theirs.fileno()}"]
        command += ["-mon", "chardev=qmp,mode=control", *more]
        for argument in arguments:
            if not argument.later:
                command += [f"-{argument.option}", json.dumps(dict(argument.value))]
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            pass_fds=[theirs.fileno()],
        )
        theirs.close()
        try:
            async with _connected(ours) as control:
                yield control
        except (OutcomeUnknownError, ConnectionError) as error:
            process.kill()
            _, words = await process.communicate()
            raise EngineError(f"QEMU is gone: {words.decode(errors='replace')}") from error
        finally:
            if process.returncode is None:
                process.kill()
                await process.communicate()


@contextlib.asynccontextmanager
async def fake_qmp(answer: Answer) -> AsyncGenerator[QmpControl]:
    """Connect to a fake QEMU that answers with a function."""
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=theirs)
    serving = asyncio.create_task(_serve(reader, writer, answer), name="fake-qmp")
    try:
        with ours:
            async with _connected(ours) as control:
                yield control
    finally:
        serving.cancel()
        await asyncio.wait({serving})
        writer.close()


@contextlib.asynccontextmanager
async def _connected(connection: socket.socket) -> AsyncGenerator[QmpControl]:
    reader, writer = await asyncio.open_connection(sock=connection)
    async with asyncio.timeout(60):
        if b"QMP" not in await reader.readline():
            raise OutcomeUnknownError("no greeting")
    control = QmpControl(reader, writer)
    reading = asyncio.create_task(control.read_all(), name="qmp")
    try:
        await control.execute("qmp_capabilities")
        control.commands.clear()
        yield control
    finally:
        reading.cancel()
        await asyncio.wait({reading})
        writer.close()


async def _serve(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: Answer
) -> None:
    def send(message: Mapping[str, Any]) -> None:
        writer.write(json.dumps(message).encode() + b"\n")

    def emit(event: str, data: Mapping[str, Any]) -> None:
        send({"event": event, "data": data, "timestamp": {"seconds": 0, "microseconds": 0}})

    send({"QMP": {"version": {}, "capabilities": []}})
    while line := await reader.readline():
        request = json.loads(line)
        reply: dict[str, Any] = {"id": request["id"]}
        try:
            if request["execute"] == "qmp_capabilities":
                reply["return"] = {}
            else:
                reply["return"] = await answer(
                    request["execute"], request.get("arguments", {}), emit
                )
        except EngineError as error:
            reply["error"] = {"class": "GenericError", "desc": error.message}
        send(reply)

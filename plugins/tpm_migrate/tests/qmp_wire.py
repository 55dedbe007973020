"""A QMP client on a real socket, as the engine's control is."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from domwarden.contract import EngineError, OutcomeUnknownError


class WireControl:
    """Implements QemuControl; one connection, made by :func:`control`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._answers: dict[str, asyncio.Future[Any]] = {}
        self._queues: list[tuple[frozenset[str], asyncio.Queue[Any]]] = []
        self._number = 0
        #: Of the process behind it, for tests that hurt it.
        self.pid = 0

    async def execute(
        self,
        command: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        timeout_seconds: float = 10.0,
    ) -> Any:
        self._number += 1
        name = str(self._number)
        self._answers[name] = asyncio.get_running_loop().create_future()
        request = {"execute": command, "arguments": dict(arguments or {}), "id": name}
        self._writer.write(json.dumps(request).encode() + b"\n")
        try:
            async with asyncio.timeout(timeout_seconds):
                answer = await self._answers[name]
        except TimeoutError as error:
            raise OutcomeUnknownError(f"no answer to {command}", command=command) from error
        finally:
            del self._answers[name]
        if answer is None:
            raise OutcomeUnknownError("connection lost", command=command)
        if "error" in answer:
            raise EngineError(f"{command}: {answer['error']['desc']}", command=command)
        return answer["return"]

    @contextlib.asynccontextmanager
    async def events(self, *names: str) -> AsyncIterator[AsyncIterator[Mapping[str, Any]]]:
        entry = (frozenset(names), asyncio.Queue[Any]())
        self._queues.append(entry)
        try:
            async with contextlib.aclosing(self._follow(entry[1])) as events:
                yield events
        finally:
            self._queues.remove(entry)

    async def _follow(self, queue: asyncio.Queue[Any]) -> AsyncIterator[Mapping[str, Any]]:
        while True:
            event = await queue.get()
            if event is None:
                raise OutcomeUnknownError("connection lost")
            yield event

    async def read_all(self) -> None:
        try:
            while line := await self._reader.readline():
                self._take(json.loads(line))
        except OSError:
            pass
        for answer in self._answers.values():
            if not answer.done():
                answer.set_result(None)
        for _, queue in self._queues:
            queue.put_nowait(None)

    def _take(self, message: dict[str, Any]) -> None:
        if "event" in message:
            for names, queue in self._queues:
                if message["event"] in names:
                    queue.put_nowait(message)
        elif "id" in message:
            waiting = self._answers.get(message["id"])
            if waiting is not None and not waiting.done():
                waiting.set_result(message)


@contextlib.asynccontextmanager
async def control(path: Path) -> AsyncIterator[WireControl]:
    for _ in range(500):
        try:
            reader, writer = await asyncio.open_unix_connection(str(path))
            break
        except OSError:
            await asyncio.sleep(0.02)  # it does not listen yet
    else:
        raise AssertionError(f"nobody listens at {path}")
    greeting = json.loads(await reader.readline())
    assert "QMP" in greeting
    client = WireControl(reader, writer)
    reading = asyncio.create_task(client.read_all(), name="qmp/read")
    try:
        await client.execute("qmp_capabilities")
        yield client
    finally:
        writer.close()
        reading.cancel()
        await asyncio.wait({reading})

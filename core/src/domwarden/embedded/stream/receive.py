"""The destination's half of a stream."""

from __future__ import annotations

import asyncio

from domwarden.contract import EngineError, RunState
from domwarden.embedded.machine import EmbeddedMachine
from domwarden.embedded.memory import PAGE_BYTES, MemoryFaultError
from domwarden.embedded.stream.channel import Channel
from domwarden.embedded.stream.frames import (
    FrameReader,
    FrameType,
    FrameWriter,
    StreamError,
    read_json,
    unpack_pages,
    unpack_section,
)


class Receiving:
    """Fills one held machine from one stream; the machine becomes RECEIVED, or ENDED."""

    def __init__(
        self, machine: EmbeddedMachine, migration: str | None, idle_seconds: float
    ) -> None:
        self._machine = machine
        #: None: the stream is a save and names the migration it was made by.
        self._migration = migration
        self._idle_seconds = idle_seconds
        self._pages = 0
        self._sections: dict[str, bytes] = {}
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.done.add_done_callback(lambda done: done.cancelled() or done.exception())

    async def run(self, channel: Channel) -> None:
        """Read the whole stream; never raises, ``done`` carries the outcome."""
        writer = FrameWriter(channel.send) if channel.answers else None
        try:
            await self._read(FrameReader(channel.receive), writer)
        except (StreamError, OSError, TimeoutError) as error:
            why = str(error) or f"nothing came for {self._idle_seconds:g} s"
            self._fail(why)
            await self._tell(writer, FrameType.FAILED, why.encode())
        except asyncio.CancelledError:
            self._fail("given up")
            raise
        else:
            await self._tell(writer, FrameType.RECEIVED)
        finally:
            channel.close()

    async def _read(self, reader: FrameReader, writer: FrameWriter | None) -> None:
        async with asyncio.timeout(self._idle_seconds) as idle:
            await reader.open()
            kind, payload = await reader.read()
            if kind is not FrameType.HELLO:
                raise StreamError(f"the stream begins with {kind.name}")
            if writer is not None:
                await writer.open()
            self._check_hello(payload)
            if writer is not None:
                await writer.write(FrameType.READY)
            while kind is not FrameType.END:
                idle.reschedule(asyncio.get_running_loop().time() + self._idle_seconds)
                kind, payload = await reader.read()
                self._take(kind, payload)
        self._finish(payload)

    def _check_hello(self, payload: bytes) -> None:
        hello = read_json(payload)
        definition = self._machine.definition
        expected = {
            "domain": definition.name,
            "uuid": definition.uuid,
            "memory_bytes": definition.memory_bytes,
            "migration": self._migration or hello.get("migration"),
        }
        for key, value in expected.items():
            if hello.get(key) != value:
                raise StreamError(f"the stream's {key} is {hello.get(key)!r}, not {value!r}")
        named = hello.get("sections")
        if not isinstance(named, list) or not all(isinstance(name, str) for name in named):
            raise StreamError("the stream does not name its sections")
        theirs, ours = set(named), set(self._machine.sections)
        for name in sorted(theirs ^ ours):
            where = "source" if name in theirs else "destination"
            raise StreamError(f"only the {where} has the device state {name!r}")

    def _take(self, kind: FrameType, payload: bytes) -> None:
        memory = self._machine.memory
        try:
            if kind is FrameType.PAGES:
                pages = unpack_pages(payload, PAGE_BYTES)
                for number, page in pages.items():
                    memory.write(number * PAGE_BYTES, page)
                self._pages += len(pages)
            elif kind is FrameType.ZEROS:
                zeros = unpack_pages(payload, 0)
                for number in zeros:
                    memory.write(number * PAGE_BYTES, bytes(PAGE_BYTES))
                self._pages += len(zeros)
            elif kind is FrameType.SECTION:
                name, data = unpack_section(payload)
                self._sections[name] = data
            elif kind is not FrameType.END:
                raise StreamError(f"the stream has a {kind.name} where none belongs")
        except MemoryFaultError as error:
            raise StreamError(f"the stream has a page too many: {error}") from error

    def _finish(self, payload: bytes) -> None:
        end = read_json(payload)
        if end.get("pages") != self._pages or end.get("sections") != len(self._sections):
            raise StreamError("the stream lacks pages or sections")
        for name, (_, load) in self._machine.sections.items():
            if name not in self._sections:
                raise StreamError(f"the stream lacks the device state {name!r}")
            try:
                load(self._sections[name])
            except Exception as error:
                what = str(error) or type(error).__name__
                raise StreamError(f"the device state {name!r} is not usable: {what}") from error
        self._machine.loaded()
        self._machine.become(RunState.RECEIVED)
        if not self.done.done():
            self.done.set_result(None)

    def _fail(self, why: str) -> None:
        if self._machine.state is RunState.INCOMING:
            self._machine.become(RunState.ENDED, f"incoming failed: {why}")
        if not self.done.done():
            self.done.set_exception(EngineError(f"the incoming stream failed: {why}"))

    async def _tell(
        self, writer: FrameWriter | None, kind: FrameType, payload: bytes = b""
    ) -> None:
        if writer is None:
            return
        try:
            async with asyncio.timeout(self._idle_seconds):
                await writer.write(kind, payload)
        except (OSError, TimeoutError):
            return  # the source finds out by the end of the connection

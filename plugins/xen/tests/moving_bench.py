"""A move between two fake hosts, taken as far as a test wants it, and ways to break it."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from domwarden.contract import Definition, Incoming, Outgoing, RunState
from domwarden.testing.authority import Authority

from . import fake_world as fake
from .bench import NAME, FakeBench, bench, host_of

MOVE = "move-1"


def resuming(root: Path) -> Callable[..., Awaitable[None]]:
    """Return what libxl_domain_resume does to a domain of the fake hosts below a directory."""

    def wake(domid: str) -> None:
        for path in root.glob("**/host/state.json"):
            with fake.world(path.parent) as state:
                domain = state["domains"].get(domid)
                if domain is not None and domain["code"] is not None:
                    domain["code"] = None

    async def resume(domid: int, *, cooperative: bool = True) -> None:
        wake(str(domid))

    return resume


@dataclasses.dataclass
class Moving:
    """One move; ``address`` may be led through a link that a test holds."""

    bench: FakeBench
    live: Definition
    address: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    #: Who the source thinks that it talks to.
    expected: str = "b"

    @property
    def outgoing(self) -> Outgoing:
        """The source's half, always a new one."""
        return self.bench.source.outgoing(self.live, MOVE, self.expected)

    @property
    def incoming(self) -> Incoming:
        """The destination's half, always a new one."""
        return self.bench.destination.incoming(NAME, MOVE, "a")

    async def listening(self) -> None:
        """Have the destination wait for the stream."""
        room = self.bench.room(self.bench.destination)
        self.address = await self.incoming.listen(self.live, room)

    async def suspended(self) -> None:
        """Take it until *ready* is held."""
        await self.listening()
        await self.outgoing.precopy(self.address, lambda _progress: None)
        await self.outgoing.suspend()

    async def departed(self) -> None:
        """Take it until *go* is held."""
        await self.suspended()
        await self.outgoing.complete(lambda _progress: None)
        await self.incoming.received()

    async def states(self) -> tuple[RunState, RunState]:
        """Return what each engine sees."""
        here = await self.bench.source.observe(NAME)
        there = await self.bench.destination.observe(NAME)
        return here.state, there.state

    async def see(self, here: RunState, there: RunState) -> None:
        """Wait until both engines see these states."""
        seen = await self.states()
        for _ in range(300):
            if seen == (here, there):
                return
            await asyncio.sleep(0.02)
            seen = await self.states()
        raise AssertionError(f"expected {here} and {there}, saw {seen[0]} and {seen[1]}")

    def note(self, end: str) -> dict[str, Any]:
        """Read a shim's note."""
        engine = self.bench.source if end == "source" else self.bench.destination
        path = engine.host.domain_directory(NAME) / "xen" / f"{end}.json"
        return dict(json.loads(path.read_text()))

    async def reaches(self, end: str, phase: str) -> None:
        """Wait until a shim has noted this phase."""
        for _ in range(1000):
            if self.note(end)["phase"] == phase:
                return
            await asyncio.sleep(0.01)
        raise AssertionError(f"the {end} is {self.note(end)}")

    def kill(self, end: str, who: str, by: int = signal.SIGKILL) -> None:
        """Kill the ``shim`` or the ``xl`` of one end."""
        os.kill(self.note(end)[who][0], by)

    def running(self) -> list[str]:
        """Return the hosts on which the guest runs by what Xen itself has: the oracle."""
        found = []
        for one in (self.bench.source, self.bench.destination):
            with fake.world(host_of(one)) as state:
                found += [
                    one.host.name
                    for domain in state["domains"].values()
                    if domain["name"].startswith(NAME) and fake.running(domain)
                ]
        return found

    def holding(self, engine: Any, point: str | None) -> None:
        """Let the source's fake xl stand still at a point, or go on."""
        with fake.world(host_of(engine)) as state:
            state["hold"] = point

    async def given_up(self) -> None:
        """Destroy the copy over there, bring the domain back here, and see exactly that."""
        await self.incoming.discard()
        await self.outgoing.abort(resume=True)
        await self.see(RunState.RUNNING, RunState.ABSENT)
        assert self.running() == ["a"]

    async def arrived(self) -> None:
        """Let the domain run over there, end it here, and see exactly that."""
        await self.incoming.activate(run=True)
        await self.bench.source.stop(NAME)
        await self.see(RunState.ABSENT, RunState.RUNNING)
        assert self.running() == ["b"]


@contextlib.asynccontextmanager
async def moving(directory: Path, authority: Authority | None = None) -> AsyncIterator[Moving]:
    """Enter a running domain on the first of two fake hosts; no process of a move outlives it."""
    async with bench(directory, authority) as made:
        room = made.room(made.source)
        live = await made.source.realize(made.definition, room)
        await made.source.start(live, room)
        move = Moving(made, live)
        try:
            yield move
        finally:
            for end in ("source", "destination"):
                for who in ("shim", "xl"):
                    with contextlib.suppress(OSError):
                        move.kill(end, who)


class Wire:
    """A link that passes everything on until it is cut, with or without a word."""

    def __init__(self, address: Mapping[str, Any]) -> None:
        self._to = address["xen"]["host"], address["xen"]["port"]
        self._address = address
        self._server: asyncio.Server | None = None
        self._writers: list[asyncio.StreamWriter] = []
        self._limit_bytes: int | None = None
        #: What went to the destination.
        self.seen = bytearray()

    async def open(self, *, cut_after_bytes: int | None = None) -> Mapping[str, Any]:
        """Listen; returns the address that leads through it."""
        self._limit_bytes = cut_after_bytes
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        return {"xen": {**self._address["xen"], "port": port}}

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection(*self._to)
        self._writers += [writer, there[1]]
        await asyncio.gather(
            self._pass(reader, there[1], self._limit_bytes), self._pass(there[0], writer, None)
        )

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, limit: int | None
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                if limit is not None:
                    data, limit = data[:limit], limit - len(data[:limit])
                if writer is self._writers[-1]:
                    self.seen += data
                writer.write(data)
                await writer.drain()
                if limit == 0:
                    break
        self.cut()

    def cut(self) -> None:
        """Close it towards both ends."""
        for writer in self._writers:
            writer.close()

    async def close(self) -> None:
        """Stop listening, too."""
        self.cut()
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

"""Connections between processes: slow, cut, silent; bytes of one of them never change order."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

from .loop import SimLoop
from .process import PROCESS, Process

CONNECT_SECONDS = 20.0


class Transport(asyncio.Transport):
    """One end of a connection."""

    def __init__(self, network: Network, process: Process | None) -> None:
        super().__init__()
        self.network = network
        self.process = process
        self.other: Transport
        self.protocol: Any = None
        self.closing = False
        #: Nothing arrives here any more.
        self.gone = False
        self._last = 0.0
        self._waiting: list[Callable[[], None]] = []

    # -- what a protocol's owner calls

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def get_protocol(self) -> Any:
        return self.protocol

    def is_closing(self) -> bool:
        return self.closing

    def get_write_buffer_size(self) -> int:
        return 0

    def write(self, data: Any) -> None:
        if self.closing or (self.process is not None and not self.process.alive):
            return
        payload = bytes(data)
        self._send(lambda: self.other.data(payload))

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        if not self.closing:
            self._send(lambda: self.other.eof())

    def pause_reading(self) -> None:
        raise NotImplementedError  # nothing here is longer than memory

    def close(self) -> None:
        self._close(lambda: self.other.lost(None))

    def abort(self) -> None:
        self._close(lambda: self.other.lost(ConnectionResetError("reset by peer")))

    def _close(self, tell: Callable[[], None]) -> None:
        if self.closing:
            return
        self.closing = True
        self._send(tell)
        if self.process is None or self.process.alive:
            self._call(lambda: self.lost(None))

    # -- what the network calls, in the context of the process that has this end

    def data(self, payload: bytes) -> None:
        if self.gone or self.closing:
            self.other.reset_later()
        else:
            self.protocol.data_received(payload)

    def eof(self) -> None:
        if not self.gone and not self.closing:
            keep = self.protocol.eof_received()
            if not keep:
                self.close()

    def lost(self, error: Exception | None) -> None:
        if not self.gone:
            self.gone = self.closing = True
            self.protocol.connection_lost(error)

    def reset_later(self) -> None:
        """Hear that the other end is no more."""
        if not self.gone:
            self._call(lambda: self.lost(ConnectionResetError("reset by peer")))

    def die(self) -> None:
        """Be closed by the kernel of a host whose process died."""
        if not self.closing:
            self.closing = self.gone = True
            self._send(lambda: self.other.lost(ConnectionResetError("reset by peer")))

    def vanish(self) -> None:
        """Lose power: the other end hears nothing."""
        self.closing = self.gone = True

    def _call(self, what: Callable[[], None]) -> None:
        context = self.process.context if self.process is not None else None
        self.network.loop.call_soon(what, context=context)

    def _send(self, what: Callable[[], None]) -> None:
        """Have something happen at the other end, after all that was sent before."""
        loop = self.network.loop
        at = max(self._last + 1e-6, loop.time() + self.network.delay(self, self.other))
        self._last = at
        context = self.other.process.context if self.other.process is not None else None
        loop.call_at(at, self._arrive, what, context=context)

    def _arrive(self, what: Callable[[], None]) -> None:
        if self._waiting or self.network.parted(self, self.other):
            if not self._waiting:
                self.network.waiting.append(self)
            self._waiting.append(what)  # TCP sends it again until the way is open
        else:
            what()

    def flush(self) -> None:
        """Send what waited for the way to be open."""
        waiting, self._waiting = self._waiting, []
        for what in waiting:
            self._send(what)


class Network:
    """All connections, and which hosts do not reach each other at the moment."""

    def __init__(self, loop: SimLoop, rng: random.Random) -> None:
        self.loop = loop
        self._rng = rng
        self._parted: set[frozenset[str]] = set()
        self.slow_seconds = 0.0
        self.waiting: list[Transport] = []
        self.connections: list[tuple[Transport, Transport]] = []
        loop.connect = self.connect

    def delay(self, one: Transport, other: Transport) -> float:
        if one.process is None or other.process is None or one.process.host is other.process.host:
            return 0.00005
        if self.slow_seconds and self._rng.random() < 0.1:
            return self._rng.uniform(0.0, self.slow_seconds)
        return self._rng.uniform(0.0002, 0.003)

    def parted(self, one: Transport, other: Transport) -> bool:
        if one.process is None or other.process is None or not self._parted:
            return False
        return frozenset((one.process.host.name, other.process.host.name)) in self._parted

    def part(self, one: str, other: str) -> None:
        """Let nothing pass between two hosts."""
        self._parted.add(frozenset((one, other)))

    def heal(self, one: str = "", other: str = "") -> None:
        """Let everything pass again between two hosts, or all."""
        if one:
            self._parted.discard(frozenset((one, other)))
        else:
            self._parted.clear()
        waiting, self.waiting = self.waiting, []
        for transport in waiting:
            transport.flush()

    def between(self, one: str, other: str) -> bool:
        return frozenset((one, other)) in self._parted

    def pair(self, one: Process | None, other: Process | None) -> tuple[Transport, Transport]:
        """Make one connection."""
        here, there = Transport(self, one), Transport(self, other)
        here.other, there.other = there, here
        for end in (here, there):
            if end.process is not None:
                end.process.at_end.append(end.die)
        self.connections.append((here, there))
        return here, there

    def cut(self, one: str, other: str) -> None:
        """Break every connection between two hosts."""
        for pair in self.connections:
            hosts = {end.process.host.name for end in pair if end.process is not None}
            if hosts == {one, other}:
                for end in pair:
                    end.reset_later()

    def power_lost(self, host: str) -> None:
        """Nobody is told."""
        for pair in self.connections:
            for end in pair:
                if end.process is not None and end.process.host.name == host:
                    end.vanish()

    def power_back(self, host: str) -> None:
        """A host that knows nothing of a connection answers with a reset."""
        left = []
        for one, other in self.connections:
            for end in (one, other):
                process = end.other.process
                if end.other.gone and process is not None and process.host.name == host:
                    end.reset_later()
            if not (one.gone and other.gone):
                left.append((one, other))
        self.connections = left

    async def connect(self, factory: Any, host: str, port: int) -> Any:
        """Reach what listens at an address of the simulation."""
        process = PROCESS.get()
        await asyncio.sleep(self._rng.uniform(0.0002, 0.003))
        server = self.loop.listeners.get((host, port))
        here = process.host if process is not None else None
        if here is not None and self.between(here.name, host):
            await asyncio.sleep(CONNECT_SECONDS)
            raise TimeoutError("no answer")
        if server is None or server.process is None or not server.process.alive:
            raise ConnectionRefusedError("connection refused")
        near, far = self.pair(process, server.process)
        near.protocol = factory()

        def accept() -> None:
            far.protocol = server.factory()
            far.protocol.connection_made(far)

        self.loop.call_soon(accept, context=server.process.context)
        near.protocol.connection_made(near)
        return near, near.protocol

    def streams(
        self, one: Process | None, other: Process | None, limit: int
    ) -> tuple[tuple[asyncio.StreamReader, asyncio.StreamWriter], ...]:
        """Make a connection whose two ends are streams."""
        made = []
        for end in self.pair(one, other):
            reader = asyncio.StreamReader(limit, self.loop)
            end.protocol = asyncio.StreamReaderProtocol(reader, loop=self.loop)
            end.protocol.connection_made(end)
            made.append((reader, asyncio.StreamWriter(end, end.protocol, reader, self.loop)))
        return tuple(made)

"""One end of the TCP connection between the two shims of a move."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable

from .frames import FrameError, Frames, Kind, frame
from .loop import CHUNK_BYTES, READ, Loop, Outlet
from .secure import RECORD_BYTES, SecureError, Terms

#: Each end says something at least this often.
ALIVE_SECONDS = 5.0


class Link:
    """Sends and hears pieces; tells once when the other end is lost."""

    def __init__(
        self,
        loop: Loop,
        sock: socket.socket,
        *,
        silence_seconds: float,
        room: Callable[[], None] = lambda: None,
        tls: Terms | None = None,
    ) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._loop = loop
        self._socket = sock
        self._descriptor = sock.fileno()
        self._enough_bytes = 1
        self._hear: Callable[[Kind, bytes], None] = lambda _kind, _body: None
        self._lost: Callable[[str], None] = lambda _why: None
        self._tls = tls.begin() if tls is not None else None
        self._silence_seconds = silence_seconds
        self._frames = Frames()
        self._heard_at = time.monotonic()
        self._reading = False
        # A descriptor of its own: an outlet closes what it was given.
        self._out = Outlet(
            loop,
            os.dup(self._descriptor),
            lambda error: self._end(error.strerror or str(error)),
            room,
        )
        if self._tls is not None:
            self._out.push(self._tls.wrap(b""))
        self.read(True)

    def keep(self) -> None:
        """Say from now on that this end lives, and hear that the other one does."""
        self._tick()

    def tell(self, hear: Callable[[Kind, bytes], None], lost: Callable[[str], None]) -> None:
        """Tell somebody from now on: each piece, and once that the other end is lost."""
        self._hear, self._lost = hear, lost

    @property
    def open(self) -> bool:
        """Whether the other end may still hear us."""
        return not self._out.closed

    @property
    def full(self) -> bool:
        """Whether the other end is slower than what is sent."""
        return self._out.full

    def send(self, kind: Kind, body: bytes | memoryview = b"") -> None:
        """Send one piece."""
        data = frame(kind, body)
        self._out.push(data if self._tls is None else self._tls.wrap(data))

    def read(self, wanted: bool) -> None:
        """Go on, or stop listening while somebody behind us is slower."""
        if self.open and wanted != self._reading:
            self._reading = wanted
            self._heard_at = time.monotonic()
            self._loop.want(self._descriptor, READ, self._read if wanted else None)

    def close(self, why: str = "") -> None:
        """Say why, and close; nobody is told."""
        self._lost = lambda _why: None
        if why:
            self.send(Kind.FAILED, why.encode()[:1000])
        # What is written by now goes out; a reader that takes nothing is not waited for.
        self._drop()

    def _read(self) -> None:
        try:
            data = os.read(self._descriptor, CHUNK_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self._end(error.strerror or str(error))
            return
        if not data:
            self._end("the other end closed the link")
            return
        self._heard_at = time.monotonic()
        try:
            if self._tls is not None:
                data, answer = self._tls.unwrap(data)
                self._out.push(answer)
            pieces = self._frames.feed(data)
        except (FrameError, SecureError) as error:
            self._end(str(error))
            return
        hidden_bytes = RECORD_BYTES if self._tls is not None else 0
        self._wake_after(self._frames.missing_bytes - hidden_bytes)
        for kind, body in pieces:
            if not self.open:
                return
            if kind is Kind.FAILED:
                self._end(f"the other end gave up: {body.decode(errors='replace')}")
            elif kind is not Kind.ALIVE:
                self._hear(kind, body)

    def _wake_after(self, missing_bytes: int) -> None:
        """Let the kernel gather what a begun piece lacks: a turn for each packet is dear."""
        enough = max(1, min(missing_bytes, CHUNK_BYTES // 4))
        if enough != self._enough_bytes:
            self._enough_bytes = enough
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, enough)

    def _tick(self) -> None:
        if not self.open:
            return
        # While we do not read, the other end's words wait in front of our door.
        silent = time.monotonic() - self._heard_at if self._reading else 0.0
        if silent > self._silence_seconds:
            self._end(f"the other end was silent for {silent:.0f} s")
            return
        if self._out.empty:
            self.send(Kind.ALIVE)
        self._loop.after(min(ALIVE_SECONDS, self._silence_seconds / 4), self._tick)

    def _drop(self) -> None:
        self._out.drop()
        if self._socket.fileno() >= 0:
            self._loop.want(self._descriptor, READ, None)
            self._socket.close()

    def _end(self, why: str) -> None:
        self._drop()
        lost, self._lost = self._lost, lambda _why: None
        lost(why)

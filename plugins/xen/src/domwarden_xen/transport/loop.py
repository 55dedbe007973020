"""A small event loop: asyncio alone would cost a shim three times its start-up."""

from __future__ import annotations

import fcntl
import os
import selectors
import time
from collections import deque
from collections.abc import Callable

#: What is read or written at once.
CHUNK_BYTES = 1024 * 1024
#: So much waits for a slow reader before its writer is held back.
_FULL_BYTES = 4 * CHUNK_BYTES
READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


class Loop:
    """Waits for descriptors and moments, and calls who asked for them."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._wanted: dict[int, dict[int, Callable[[], None]]] = {}
        self._timers: list[tuple[float, Callable[[], None]]] = []

    def want(self, descriptor: int, event: int, callback: Callable[[], None] | None) -> None:
        """Call back whenever the descriptor can be read (or written); None: no longer."""
        if callback is None and descriptor not in self._wanted:
            return
        calls = self._wanted.setdefault(descriptor, {})
        before = set(calls)
        if callback is None:
            calls.pop(event, None)
        else:
            calls[event] = callback
        if set(calls) == before:
            return
        if not calls:
            del self._wanted[descriptor]
            self._selector.unregister(descriptor)
        elif before:
            self._selector.modify(descriptor, sum(calls))
        else:
            self._selector.register(descriptor, sum(calls))

    def close(self, descriptor: int) -> None:
        """Forget a descriptor and close it."""
        if self._wanted.pop(descriptor, None) is not None:
            self._selector.unregister(descriptor)
        os.close(descriptor)

    def after(self, seconds: float, callback: Callable[[], None]) -> None:
        """Call back once, when so much time has passed."""
        self._timers.append((time.monotonic() + seconds, callback))

    def turn(self, seconds: float) -> None:
        """Wait for something to do, at most so long, and do it."""
        now = time.monotonic()
        earliest = min((at for at, _ in self._timers), default=now + seconds)
        for key, events in self._selector.select(max(0.0, min(seconds, earliest - now))):
            for event in (READ, WRITE):
                # An earlier callback may have closed or unwanted what was ready.
                call = self._wanted.get(key.fd, {}).get(event)
                if events & event and call is not None:
                    call()
        now = time.monotonic()
        due = [callback for at, callback in self._timers if at <= now]
        self._timers = [timer for timer in self._timers if timer[0] > now]
        for callback in due:
            callback()


def widen(pipe: int) -> None:
    """Let a pipe take a whole chunk, where the system lets us: fewer turns."""
    try:
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, CHUNK_BYTES)
    except OSError:
        pass  # more than this user may have: slower, not wrong


class Outlet:
    """Writes to a pipe or a socket as fast as its reader takes it."""

    def __init__(
        self,
        loop: Loop,
        descriptor: int,
        lost: Callable[[OSError], None],
        room: Callable[[], None] = lambda: None,
    ) -> None:
        os.set_blocking(descriptor, False)
        self._loop = loop
        self._descriptor = descriptor
        self._lost = lost
        self._room = room
        self._waiting: deque[memoryview] = deque()
        self._waiting_bytes = 0
        self._closing = False
        self.closed = False

    @property
    def full(self) -> bool:
        """Whether the writer should wait until ``room`` is called."""
        return self._waiting_bytes >= _FULL_BYTES

    @property
    def empty(self) -> bool:
        """Whether everything was handed to the kernel."""
        return not self._waiting

    def push(self, data: bytes | memoryview) -> None:
        """Write it, now or as soon as the reader takes it; nothing goes to a closed one."""
        if self.closed or self._closing or not data:
            return
        self._waiting.append(memoryview(data))
        self._waiting_bytes += len(data)
        self._flush()

    def close(self) -> None:
        """Close it once everything is written."""
        self._closing = True
        if not self._waiting:
            self.drop()

    def drop(self) -> None:
        """Close it now; what was not written is lost."""
        if not self.closed:
            self.closed = True
            self._waiting.clear()
            self._waiting_bytes = 0
            self._loop.close(self._descriptor)

    def _flush(self) -> None:
        was_full = self.full
        try:
            while self._waiting:
                written = os.write(self._descriptor, self._waiting[0][:CHUNK_BYTES])
                self._waiting_bytes -= written
                self._waiting[0] = self._waiting[0][written:]
                if not self._waiting[0]:
                    self._waiting.popleft()
        except BlockingIOError:
            pass  # the reader has enough for now
        except OSError as error:
            self.drop()
            self._lost(error)
            return
        if self._closing and not self._waiting:
            self.drop()
            return
        self._loop.want(self._descriptor, WRITE, self._flush if self._waiting else None)
        if was_full and not self.full:
            self._room()

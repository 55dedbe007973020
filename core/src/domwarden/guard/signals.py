"""Signals as things to ask for between two steps."""

from __future__ import annotations

import contextlib
import select
import signal
import socket
from collections.abc import Iterator

#: TERM, USR1 as xenwatchdogd takes them, HUP as every daemon; INT is a person at a terminal; a
#: child's end only ends the waiting.
HEARD = (
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGCHLD,
)


class Signals:
    """Those that arrived; made by :func:`heard`."""

    def __init__(self, reader: socket.socket) -> None:
        self._reader = reader

    def wait(self, seconds: float) -> list[signal.Signals]:
        """Wait at most that long; return what arrived, the earliest first."""
        readable, _, _ = select.select([self._reader], [], [], seconds)
        if not readable:
            return []
        return [signal.Signals(number) for number in self._reader.recv(4096)]


@contextlib.contextmanager
def heard() -> Iterator[Signals]:
    """Take this process's signals over; only in the main thread."""
    reader, writer = socket.socketpair()
    with reader, writer:
        reader.setblocking(False)
        writer.setblocking(False)
        before = {number: signal.signal(number, _nothing) for number in HEARD}
        # not called before the handlers stand: a signal without one ends the process as ever
        woken = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        try:
            yield Signals(reader)
        finally:
            signal.set_wakeup_fd(woken)
            for number, handler in before.items():
                signal.signal(number, handler)


def _nothing(_number: int, _frame: object) -> None:
    """Let the wake-up descriptor tell; without a handler there would be none."""

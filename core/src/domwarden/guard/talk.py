"""Says things without ever waiting for a reader: to the log, and to systemd."""

from __future__ import annotations

import json
import logging
import os
import select
import socket


class NeverWaiting(logging.Handler):
    """Writes lines to a descriptor, and drops those that would make it wait.

    A guard that hangs on a full pipe stops kicking, and a dead logger would reset the machine.
    """

    def __init__(self, descriptor: int = 2) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLOUT)

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line if there is room for it."""
        data = f"{self.format(record)}\n".encode(errors="replace")[:4096]
        try:
            if any(events & select.POLLOUT for _, events in self._poll.poll(0)):
                os.write(self._descriptor, data)
        except OSError:
            pass  # nobody reads; that is no reason to stop guarding


class JsonLines(logging.Formatter):
    """Makes each line one JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        """Return when, how grave, and what."""
        said = {"at": record.created, "level": record.levelname, "message": record.getMessage()}
        return json.dumps(said)


def log_to_stderr(*, as_json: bool) -> None:
    """Send everything that this process logs to stderr, and never wait for a reader."""
    handler = NeverWaiting()
    plain = logging.Formatter("%(asctime)s %(levelname)s %(message)s")
    handler.setFormatter(JsonLines() if as_json else plain)
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def tell_systemd(state: str) -> None:
    """Tell systemd how it is (sd_notify(3)), where it started us; else nothing."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as made:
        made.setblocking(False)
        try:
            made.sendto(state.encode(), address)
        except OSError:
            pass  # systemd is busy or gone, which is for the watchdogs to find out

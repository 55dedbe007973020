"""Tells what I/O a call did, as far as Python's audit events show it.

https://docs.python.org/3/library/audit_events.html: files, directories, sockets and processes raise
events, from Python 3.13 ``time.sleep`` too; a bare ``stat`` raises none and is not noticed.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable
from typing import Any, TypeVar

ResultT = TypeVar("ResultT")

_PREFIXES = (
    "open",
    "os.",
    "socket.",
    "subprocess.",
    "shutil.",
    "tempfile.",
    "time.sleep",
    "fcntl.",
)
_state = threading.local()


def io_of(call: Callable[[], ResultT]) -> tuple[ResultT, list[str]]:
    """Call it; return its result and the I/O that this thread did meanwhile."""
    _listen()
    seen: list[str] = []
    _state.seen = seen
    try:
        return call(), seen
    finally:
        _state.seen = None


@functools.cache
def _listen() -> None:
    # An audit hook can never be removed, so there is one, which is deaf most of the time.
    sys.addaudithook(_hear)


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    seen = getattr(_state, "seen", None)
    if seen is not None and event.startswith(_PREFIXES):
        told = str(arguments[0]) if arguments else ""
        seen.append(f"{event} {told}".strip())

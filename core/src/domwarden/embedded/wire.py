"""The protocol between an engine and its hypervisor's process: one call a connection, JSON lines.

::

    process  {"domwarden-embedded": 1}                                  the greeting
    engine   {"host": {...}, "method": "...", "arguments": {...}}
    process  {"note": {...}}                                            any number: progress, events
    process  {"result": ...}  or  {"error": {"kind", "message", "hint", "command"}}

A connection that ends before the greeting means that the process was about to end: nothing was
done.  One that ends after it leaves the outcome unknown.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from domwarden.contract import (
    DomwardenError,
    DriverError,
    EngineError,
    GuestStoppedError,
    OutcomeUnknownError,
)

VERSION = 1
GREETING = {"domwarden-embedded": VERSION}
#: The longest line, in bytes: a console's log fits.
LIMIT_BYTES = 4 * 1024 * 1024

_KINDS: dict[str, type[DomwardenError]] = {
    kind.__name__: kind
    for kind in (EngineError, GuestStoppedError, OutcomeUnknownError, DriverError)
}


def directory(state_directory: Path) -> Path:
    """Return where the process of a host keeps its socket, locks and log."""
    return state_directory / "embedded"


def socket_path(state_directory: Path) -> Path:
    """Return the path of its socket."""
    return directory(state_directory) / "control.sock"


def line(data: Mapping[str, Any]) -> bytes:
    """Encode one message."""
    return json.dumps(data, default=str).encode() + b"\n"


def error_as_json(error: DomwardenError) -> dict[str, Any]:
    """Encode an error."""
    kind = type(error).__name__
    return {
        "kind": kind if kind in _KINDS else "EngineError",
        "message": error.message,
        "hint": error.hint,
        "command": getattr(error, "command", ""),
    }


def error_from_json(data: Mapping[str, Any]) -> DomwardenError:
    """Decode an error."""
    kind = _KINDS.get(str(data.get("kind")), EngineError)
    error = kind(str(data.get("message")), hint=str(data.get("hint", "")))
    if isinstance(error, EngineError):
        error.command = str(data.get("command", ""))
    return error

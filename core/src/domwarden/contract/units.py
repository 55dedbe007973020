"""Validators for SCHEMA: sizes, durations, rates, paths, all from text with a unit."""

from __future__ import annotations

import contextlib
import contextvars
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

#: Bytes, and seconds, in one of each unit.
SIZE_UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
DURATION_UNITS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_NUMBER = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([A-Za-z]+)", re.ASCII)
_base: contextvars.ContextVar[Path | None] = contextvars.ContextVar("base_directory", default=None)


def _parse(value: Any, units: dict[str, Any], what: str, example: str) -> float:
    import voluptuous  # here, because `domwarden --help` must not pay for it

    match = _NUMBER.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None or match[2] not in units or len(match[1]) > 18:
        wanted = f"expected {what} such as {example} (units: {', '.join(units)})"
        raise voluptuous.Invalid(wanted)
    return float(match[1]) * float(units[match[2]])


def size(value: Any) -> int:
    """Return bytes from ``256MiB``; raises voluptuous.Invalid."""
    return int(_parse(value, SIZE_UNITS, "a size", "256MiB"))


def duration(value: Any) -> float:
    """Return seconds from ``30s``, ``300ms`` or ``2min``; raises voluptuous.Invalid."""
    return _parse(value, DURATION_UNITS, "a duration", "30s")


def rate(value: Any) -> int:
    """Return bytes a second from ``10GiB/s``; raises voluptuous.Invalid."""
    text = value.strip().removesuffix("/s") if isinstance(value, str) else value
    ok = isinstance(value, str) and value.strip().endswith("/s")
    return int(_parse(text if ok else None, SIZE_UNITS, "a rate", "10GiB/s"))


def path(value: Any) -> str:
    """Return an absolute path; a relative one counts from its file's directory."""
    import voluptuous  # as above

    if not isinstance(value, str) or not value or "\0" in value:
        raise voluptuous.Invalid("expected a path")
    base = _base.get()
    return str(base / value) if base is not None else value


@contextlib.contextmanager
def relative_to(directory: Path) -> Iterator[None]:
    """Let :func:`path` resolve against ``directory`` within the context."""
    token = _base.set(directory)
    try:
        yield
    finally:
        _base.reset(token)

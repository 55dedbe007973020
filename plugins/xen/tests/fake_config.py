"""Reads an xl configuration as strictly as xl 4.17 does, lies of its parser included."""

from __future__ import annotations

import re
from typing import Any


class NoError(Exception):
    """xl says no, with these words on stderr."""


def parse(text: str) -> dict[str, Any]:
    """Read the configuration as xl does, strictly; raises NoError."""
    found: dict[str, Any] = {}
    for line in text.splitlines():
        match = re.fullmatch(r"([a-z_][a-z0-9_]*) = (.*)", line)
        if match is None:
            raise NoError(f"config parsing error near `{line}'")
        found[match[1]] = _value(match[2])
    return found


def _value(text: str) -> Any:
    if text.startswith("["):
        inner = text[1:-1]
        items = re.findall(r'"(?:[^"\\]|\\.)*"', inner)
        if ", ".join(items) != inner or not text.endswith("]"):
            raise NoError(f"config parsing error near `{text}'")
        return [_string(item) for item in items]
    return int(text) if text.isdigit() else _string(text)


_ESCAPES = dict(zip("abfnrtv\"'\\", "\a\b\f\n\r\t\v\"'\\", strict=True))


def _string(text: str) -> str:
    if not re.fullmatch(r'"(?:[^"\\\x00-\x1f]|\\[abfnrtv"\'\\])*"', text):
        raise NoError(f"config parsing error near `{text}'")  # \x is one, too
    return re.sub(r"\\(.)", lambda match: _ESCAPES[match[1]], text[1:-1])

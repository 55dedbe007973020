"""Finds a host's socket in its host file without all that reads the whole file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

#: As the reader of the whole file has them (``domwarden.config``).
LIMIT_BYTES = 1024 * 1024
DEFAULT_STATE = "/var/lib/domwarden"
SOCKET = "domwarden.sock"

_WANTED = frozenset({"host", "state", "socket"})
#: Unquoted, they are no texts.
_WORDS = frozenset({"", "~", "null", "true", "false"})


class _UnclearError(Exception):
    """The file may mean something else than it seems to."""


def socket_in(path: Path) -> Path | None:
    """Return where the file says that the host's service answers.

    None for a file that is not plain to see through: the reader of the whole file then says what it
    means, or what is wrong with it.
    """
    import yaml  # here, because a host without a host file needs none

    try:
        with path.open("rb") as file:
            data = file.read(LIMIT_BYTES + 1)
        if len(data) > LIMIT_BYTES:
            return None
        directory = path.absolute().parent
        # Events, because PyYAML's own composer recurses: a deep file ends the process.
        parser = yaml.CSafeLoader(data.decode())
        try:
            found = _texts(_events(parser), yaml)
        finally:
            parser.dispose()
    except (OSError, ValueError, AttributeError, yaml.YAMLError, _UnclearError):
        return None  # AttributeError: PyYAML was built without its parser in C
    if "host" not in found:
        return None
    if "socket" in found:
        return directory / found["socket"]
    return directory / found.get("state", DEFAULT_STATE) / SOCKET


def _events(parser: Any) -> Iterator[Any]:
    while (event := parser.get_event()) is not None:
        yield event


def _texts(events: Iterator[Any], yaml: Any) -> dict[str, str]:
    """Return what is wanted of the mapping that a file is; raises _UnclearError."""
    found: dict[str, str] = {}
    keys: set[str] = set()
    key: str | None = None
    depth = 0
    for event in events:
        if isinstance(event, yaml.AliasEvent):
            raise _UnclearError
        if isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
            key = None if depth == 1 else key
        elif isinstance(event, yaml.CollectionStartEvent):
            root = depth == 0 and isinstance(event, yaml.MappingStartEvent)
            if not root and (depth == 0 or key is None or key in _WANTED):
                raise _UnclearError
            depth += 1
        elif isinstance(event, yaml.ScalarEvent) and depth == 0:
            raise _UnclearError
        elif isinstance(event, yaml.ScalarEvent) and depth == 1 and key is None:
            key = event.value
            if key in keys or event.tag is not None:
                raise _UnclearError
            keys.add(key)
        elif isinstance(event, yaml.ScalarEvent) and depth == 1:
            if key in _WANTED:
                found[key] = _text(event)
            key = None
    return found


def _text(event: Any) -> str:
    value: str = event.value
    quoted = event.style in {"'", '"', "|", ">"}
    if event.tag is not None or not value or "\0" in value:
        raise _UnclearError
    if not quoted and (value.lower() in _WORDS or _is_number(value)):
        raise _UnclearError
    return value


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True

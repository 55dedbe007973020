"""YAML as located data: every key and value knows where it stands."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

ScalarValue = str | int | float | bool | None


class Mark(NamedTuple):
    """A place in a file; line and column count from 1."""

    line: int
    column: int


@dataclasses.dataclass(slots=True, eq=False)
class Scalar:
    """One value; ``text`` is how it is written, without quotes."""

    mark: Mark
    value: ScalarValue
    text: str


@dataclasses.dataclass(slots=True, eq=False)
class Sequence:
    """A list."""

    mark: Mark
    items: list[Node] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(slots=True, eq=False)
class Mapping:
    """A mapping; keys are text, whatever they look like, and ``keys`` says where they stand."""

    mark: Mark
    values: dict[str, Node] = dataclasses.field(default_factory=dict)
    keys: dict[str, Mark] = dataclasses.field(default_factory=dict)


Node = Scalar | Sequence | Mapping


def plain(node: Node, omitted: frozenset[int] = frozenset()) -> Any:
    """Return the node as plain data, without the list items whose ``id`` is in ``omitted``."""
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, Sequence):
        return [plain(item, omitted) for item in node.items if id(item) not in omitted]
    return {key: plain(value, omitted) for key, value in node.values.items()}


def wrong(node: Node) -> str:
    """Begin the complaint about a node that has no place where it stands."""
    if isinstance(node, Mapping):
        return "wrong value, a mapping"
    if isinstance(node, Sequence):
        return "wrong value, a list"
    return "has no value" if node.value is None else f"wrong value '{shorten(node.text)}'"


def shorten(text: str, limit: int = 60) -> str:
    """Return the text on one line, printable, and no longer than ``limit`` characters."""
    clean = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text[: limit + 1])
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"

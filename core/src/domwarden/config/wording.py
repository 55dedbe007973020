"""Says in an operator's words what voluptuous says in a programmer's."""

from __future__ import annotations

import difflib
import enum
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from domwarden.plugins.options import json_schema_of, summary

_EXPECTED = {
    "expected str": "expected text",
    "expected int": "expected a whole number",
    "expected float": "expected a number",
    "expected bool": "expected true or false",
    "expected boolean": "expected true or false",
    "expected a dictionary": "expected a mapping",
    "expected dict": "expected a mapping",
    "expected list": "expected a list",
    "expected NoneType": "expected nothing",
    "not a valid value": "",
    "no valid value found": "",
}


def expectation(error: Any, schema: Any, path: Iterable[Any], written: str) -> str:
    """Return what would be right where a voluptuous error stands, as far as the schema tells."""
    alternatives = find(schema, path)
    choices = _choices(alternatives)
    if choices:
        return did_you_mean(written, choices)
    # A field's own words: `msg` of Any and Range, or what a validator of the driver says.
    said = _EXPECTED.get(error.error_message, str(error.error_message))
    return said or f"expected {summary({'anyOf': [json_schema_of(s) for s in alternatives]})}"


def did_you_mean(written: str, choices: Iterable[str], valid: str = "valid") -> str:
    """Return the closest of the choices, if one is close, and all of them."""
    ordered = list(dict.fromkeys(choices))
    close = difflib.get_close_matches(written, ordered, n=1)
    everything = f"{valid}: {', '.join(ordered)}" if ordered else f"{valid}: none"
    return f"did you mean '{close[0]}'? {everything}" if close else everything


def valid_keys(schema: Any, path: Iterable[Any]) -> list[str]:
    """Return the keys that a mapping at a path may have."""
    mappings = (s for s in find(schema, path) if isinstance(s, Mapping))
    keys = (getattr(key, "schema", key) for mapping in mappings for key in mapping)
    return [key for key in keys if isinstance(key, str)]


def find(schema: Any, path: Iterable[Any]) -> list[Any]:
    """Return the alternatives that a schema has for the value at a path."""
    found = list(_alternatives(schema))
    for part in path:
        found = [leaf for s in found for inner in _inside(s, part) for leaf in _alternatives(inner)]
    return found


def _alternatives(schema: Any) -> Iterator[Any]:
    """Yield a schema without what wraps it: Schema, All, Any, Maybe, Msg."""
    inner = getattr(schema, "validators", None)
    if inner is None and not isinstance(schema, Mapping | list | tuple | type):
        wrapped = getattr(schema, "schema", None) or getattr(schema, "_schema", None)
        inner = None if wrapped is None or wrapped is schema else [wrapped]
    if inner is None:
        yield schema
        return
    for one in inner:
        yield from _alternatives(one)


def _inside(schema: Any, part: Any) -> Iterator[Any]:
    if isinstance(schema, Mapping):
        for key, value in schema.items():
            named = getattr(key, "schema", key)
            if named == part or not isinstance(named, str):
                yield value
    elif isinstance(schema, list | tuple) and isinstance(part, int):
        yield from schema


def _choices(alternatives: list[Any]) -> list[str]:
    """Return the texts among which a value must be, or nothing when there is another way."""
    found: list[str] = []
    for schema in alternatives:
        container = getattr(schema, "container", None)
        if container is None and isinstance(schema, str):
            found.append(schema)
        elif container is not None:
            found += [str(c.value if isinstance(c, enum.Enum) else c) for c in container]
        elif schema is not str:
            return []
    return found

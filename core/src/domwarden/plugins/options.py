"""Describes a driver's voluptuous SCHEMA as JSON Schema, as far as JSON Schema can say it.

What it cannot say (a driver's own functions, rules on converted values) is left open, so that
whatever the SCHEMA accepts is accepted by its description.
"""

from __future__ import annotations

import enum
import inspect
import re
from collections.abc import Iterable, Mapping
from typing import Any

from domwarden.contract import units

JsonSchema = dict[str, Any]

_TYPES: Mapping[Any, JsonSchema] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    dict: {"type": "object"},
    list: {"type": "array"},
    type(None): {"type": "null"},
    None: {"type": "null"},
}


def _unit_pattern(names: Iterable[str], suffix: str = "") -> JsonSchema:
    pattern = rf"^\s*[0-9]+(\.[0-9]+)? ?({'|'.join(names)})\s*{suffix}$"
    return {"type": "string", "pattern": pattern}


_UNITS: Mapping[Any, JsonSchema] = {
    units.size: _unit_pattern(units.SIZE_UNITS) | {"examples": ["256MiB"]},
    units.rate: _unit_pattern(units.SIZE_UNITS, r"/s\s*") | {"examples": ["10GiB/s"]},
    units.duration: _unit_pattern(units.DURATION_UNITS) | {"examples": ["30s", "300ms"]},
    units.path: {"type": "string", "minLength": 1},
}
# What Python's regular expressions have and ECMAScript's have not, or mean differently.
_NOT_ECMASCRIPT = re.compile(r"\\[AZ]|\(\?[^:=!]|[*+?}]\+")


def json_schema_of(schema: Any) -> JsonSchema:
    """Return the JSON Schema of what a voluptuous schema accepts; ``{}`` accepts everything."""
    if schema is None or isinstance(schema, type):
        return _of_type(schema)
    if isinstance(schema, str | int | float | bool):
        return {"const": schema}
    if isinstance(schema, Mapping):
        return _of_mapping(schema)
    if isinstance(schema, list):
        items = [json_schema_of(item) for item in schema]
        return {"type": "array", "items": _any_of(items)} if items else {"type": "array"}
    if inspect.isfunction(schema) and schema in _UNITS:
        return dict(_UNITS[schema])
    return _of_validator(schema)


def required_of(mapping: Mapping[Any, Any]) -> list[str]:
    """Return the keys that a SCHEMA wants and does not fill in itself."""
    import voluptuous  # here, because `domwarden --help` must not pay for it

    wanted = (key for key in mapping if isinstance(key, voluptuous.Required))
    return [key.schema for key in wanted if isinstance(key.schema, str) and _default(key) is _NONE]


def summary(schema: JsonSchema) -> str:
    """Return in a few words what a JSON Schema accepts."""
    described = schema.get("anyOf")
    if described:
        return " or ".join(dict.fromkeys(summary(one) for one in described))
    if "enum" in schema:
        return f"one of {', '.join(str(value) for value in schema['enum'])}"
    if "const" in schema:
        return f"{schema['const']}"
    if "examples" in schema:
        return f"text such as {schema['examples'][0]}"
    words = {"string": "text", "integer": "a whole number", "number": "a number",
             "boolean": "true or false", "object": "a mapping", "array": "a list",
             "null": "nothing"}  # fmt: skip
    named = schema.get("type", "")
    names = named if isinstance(named, list) else [named]
    return " or ".join(words.get(name, "another value") for name in names)


_NONE = object()


def _of_type(schema: Any) -> JsonSchema:
    if isinstance(schema, type) and issubclass(schema, enum.Enum):
        return {}
    return dict(_TYPES.get(schema, {}))


def _of_mapping(mapping: Mapping[Any, Any]) -> JsonSchema:
    import voluptuous  # as above

    properties: dict[str, JsonSchema] = {}
    others: list[JsonSchema] = []
    for key, value in mapping.items():
        name = getattr(key, "schema", key)
        if key is voluptuous.Extra:
            others.append({})
        elif isinstance(name, str):
            properties[name] = json_schema_of(value) | _remarks(key)
        else:
            others.append({} if isinstance(key, voluptuous.Remove) else json_schema_of(value))
    found: JsonSchema = {"type": "object", "properties": properties}
    if required_of(mapping):
        found["required"] = required_of(mapping)
    found["additionalProperties"] = _any_of(others) if others else False
    return found


def _remarks(key: Any) -> JsonSchema:
    found: JsonSchema = {}
    if getattr(key, "description", None):
        found["description"] = str(key.description)
    default = _default(key)
    if default is not _NONE and isinstance(default, str | int | float | bool | list | dict):
        found["default"] = default
    return found


def _default(key: Any) -> Any:
    default = getattr(key, "default", None)
    # voluptuous keeps a factory, or an `Undefined` that is no callable.
    return default() if callable(default) else _NONE


def _of_validator(schema: Any) -> JsonSchema:
    import voluptuous as v  # as above

    if isinstance(schema, v.Schema):
        found = json_schema_of(schema.schema)
        if schema.extra != v.PREVENT_EXTRA and found.get("additionalProperties") is False:
            found["additionalProperties"] = True
        return found
    if isinstance(schema, v.All):
        return _of_chain(schema.validators)
    if isinstance(schema, v.Any | v.Union):
        return _any_of(json_schema_of(one) for one in schema.validators)
    if isinstance(schema, v.Msg):
        return json_schema_of(schema._schema)
    if isinstance(schema, v.In):
        return _of_choices(schema.container)
    if isinstance(schema, v.ExactSequence):
        items = [json_schema_of(one) for one in schema.validators]
        size = len(items)
        return {"type": "array", "prefixItems": items, "minItems": size, "maxItems": size}
    if isinstance(schema, v.Coerce) and isinstance(schema.type, type):
        if issubclass(schema.type, enum.Enum):
            return _of_choices(schema.type)
        if schema.type in (int, float):
            return {"type": ["number", "string", "boolean"]}
    return _of_bounds(schema)


def _of_bounds(schema: Any) -> JsonSchema:
    import voluptuous as v  # as above

    found: JsonSchema = {}
    if isinstance(schema, v.Range):
        if _is_number(schema.min):
            found["minimum" if schema.min_included else "exclusiveMinimum"] = schema.min
        if _is_number(schema.max):
            found["maximum" if schema.max_included else "exclusiveMaximum"] = schema.max
    elif isinstance(schema, v.Length):
        for kind in ("Length", "Items", "Properties"):
            if schema.min is not None:
                found[f"min{kind}"] = schema.min
            if schema.max is not None:
                found[f"max{kind}"] = schema.max
    elif isinstance(schema, v.Match):
        found = {"type": "string"}
        if not (
            _NOT_ECMASCRIPT.search(schema.pattern.pattern) or schema.pattern.flags & re.IGNORECASE
        ):
            # re.match looks at the beginning only, JSON Schema everywhere.
            found["pattern"] = f"^(?:{schema.pattern.pattern})"
    return found


def _of_chain(validators: Iterable[Any]) -> JsonSchema:
    """Describe All up to its first conversion: the file does not show what comes out of it."""
    found: list[JsonSchema] = []
    for one in validators:
        found.append(json_schema_of(one))
        if not _keeps_value(one):
            break
    told = [schema for schema in found if schema]
    merged: JsonSchema = {}
    for schema in told:
        if any(merged.get(key, value) != value for key, value in schema.items()):
            return {"allOf": told}
        merged |= schema
    return merged


def _keeps_value(schema: Any) -> bool:
    import voluptuous as v  # as above

    if isinstance(schema, v.All | v.Any):
        return all(_keeps_value(one) for one in schema.validators)
    literal = str | int | float | bool | None
    return isinstance(schema, literal | type | v.In | v.Range | v.Length | v.Match)


def _of_choices(container: Any) -> JsonSchema:
    values = [one.value if isinstance(one, enum.Enum) else one for one in container]
    return {"enum": values} if all(isinstance(x, str | int | float) for x in values) else {}


def _any_of(schemas: Iterable[JsonSchema]) -> JsonSchema:
    distinct: list[JsonSchema] = []
    for schema in schemas:
        if schema not in distinct:
            distinct.append(schema)
    if {} in distinct or not distinct:
        return {}
    return distinct[0] if len(distinct) == 1 else {"anyOf": distinct}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)

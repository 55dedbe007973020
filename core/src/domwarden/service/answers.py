"""The JSON Schemas of what the API answers, made of the dataclasses that it answers."""

from __future__ import annotations

import dataclasses
import enum
import functools
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from domwarden.contract import Expiry
from domwarden.migration import Outcome, Reclaimable, Settled
from domwarden.plan import Decision
from domwarden.plugins.listing import DriverInfo
from domwarden.service.operation import Kind
from domwarden.warden import DomainStatus, MoveState, Plan

JsonSchema = dict[str, Any]

_PLAIN: Mapping[Any, JsonSchema] = {
    str: {"type": "string"},
    Path: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    types.NoneType: {"type": "null"},
    Any: {},
    object: {},
}


def schema_of(kind: Any) -> JsonSchema:
    """Return the JSON Schema of a type's plain data."""
    if kind in _PLAIN:
        return dict(_PLAIN[kind])
    if dataclasses.is_dataclass(kind):
        return _of_fields(typing.get_type_hints(kind))
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return {"enum": [one.value for one in kind]}
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in {typing.Union, types.UnionType}:
        return {"anyOf": [schema_of(one) for one in inner]}
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": schema_of(inner[1])}
    if isinstance(origin, type) and issubclass(origin, Sequence):
        return {"type": "array", "items": schema_of(inner[0])}
    raise TypeError(f"{kind} has no JSON Schema")


def _of_fields(fields: Mapping[str, Any]) -> JsonSchema:
    properties = {name: schema_of(kind) for name, kind in fields.items()}
    return {"type": "object", "properties": properties, "required": list(fields)}


@functools.cache
def answers() -> dict[str, JsonSchema]:
    """Return the schema of each answer by the name that routes give it."""
    return {
        "Domain": schema_of(DomainStatus),
        "Expiry": schema_of(Expiry),
        "Settled": schema_of(Settled),
        "Driver": schema_of(DriverInfo),
        "Plan": _of_fields({**typing.get_type_hints(Plan), "steps": list[str]}),
        "Stopped": _of_fields({"domain": str, "state": str, "alarms": list[str]}),
        "Health": _of_fields({
            "status": str, "host": str, "version": str, "uptime_seconds": float, "domains": int,
            "unfinished": int,
        }),
        "Move": _of_fields({
            "id": str, "domain": str, "movement": str, "peer": str, "end": str, "state": MoveState,
            "caller": str, "begun_at": float | None, "step": str,
            "progress": Mapping[str, Any] | None, "decision": Decision, "outcome": Outcome,
            "holder": str, "result": Mapping[str, Any] | None,
            "problem": Mapping[str, Any] | None,
        }),
        "Reclaimable": schema_of(Reclaimable),
        "Operation": _of_fields({
            "id": str, "kind": Kind, "domain": str, "state": MoveState, "stopping": bool,
            "caller": str, "begun_at": float, "result": Any,
            "problem": Mapping[str, Any] | None,
        }),
        "Problem": _of_fields({
            "type": str, "title": str, "status": int, "detail": str, "code": str,
        }),
    }  # fmt: skip

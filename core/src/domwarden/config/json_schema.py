"""The JSON Schema of the domain file, with the installed drivers' options in it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from domwarden.config import keys
from domwarden.config.schemas import Section, driver_section
from domwarden.contract import Action, DriverError
from domwarden.plugins import Driver, Kind, load
from domwarden.plugins.fitting import misfit
from domwarden.plugins.offers import names
from domwarden.plugins.options import JsonSchema, json_schema_of

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """Return the schema (draft 2020-12) that editors complete and check domain files with.

    Every file that ``check`` accepts is accepted by it; rules that JSON Schema cannot express are
    left to ``check``.  Drivers that cannot be used are left out.
    """
    kinds = (Kind.ENGINE, Kind.DEVICE, Kind.WATCHDOG)
    engines, devices, watchdogs = (list(_usable(kind)) for kind in kinds)
    return {
        "$schema": _DIALECT,
        "title": "A domain of domwarden",
        "type": "object",
        "required": _object(keys.domain_keys())["required"],
        "properties": {"engine": {"enum": [engine.name for engine in engines]}},
        "allOf": [_when_engine(engine, devices, watchdogs) for engine in engines],
        "$defs": {
            **{f"device-{driver.name}": _entry(keys.device_keys(), driver) for driver in devices},
            **{f"watchdog-{d.name}": _entry(keys.watchdog_keys(), d) for d in watchdogs},
            "migration": _object(keys.migration_keys()),
            "boot": _object(keys.boot_keys()),
        },
    }


def _usable(kind: Kind) -> Iterable[Driver]:
    for name in names(kind):
        try:
            yield load(kind, name)
        except DriverError:
            continue  # `domwarden plugins` says why


def _object(section: Section) -> JsonSchema:
    return json_schema_of(section.schema)


def _entry(own: Section, driver: Driver) -> JsonSchema:
    """Describe an entry of one driver: the core's keys beside the driver's."""
    ours, theirs = _object(own), _object(driver_section(driver))
    merged = _merged(ours, theirs)
    merged["properties"]["driver"] = {"const": driver.name}
    actions = getattr(driver.cls, "ACTIONS", None)
    if actions is not None:
        merged["properties"]["action"] = _actions(actions)
    return merged


def _merged(ours: JsonSchema, theirs: JsonSchema) -> JsonSchema:
    """Describe one mapping in which two schemas own different keys."""
    if "properties" not in theirs:  # a SCHEMA that is more than its mapping
        theirs = next((s for s in theirs.get("allOf", ()) if "properties" in s), {})
    required = [*ours.get("required", ()), *theirs.get("required", ())]
    return {
        "type": "object",
        "properties": {**theirs.get("properties", {}), **ours["properties"]},
        **({"required": required} if required else {}),
        "additionalProperties": theirs.get("additionalProperties", True),
    }


def _when_engine(engine: Driver, devices: list[Driver], watchdogs: list[Driver]) -> JsonSchema:
    """Describe a domain on one engine; a domain that names none is on the default one."""
    then = _merged(_object(keys.domain_keys()), _object(driver_section(engine)))
    known = [device for device in devices if not misfit(engine, device)]
    cards = [watchdog for watchdog in watchdogs if not misfit(engine, watchdog)]
    watchdog = _by_driver("watchdog", cards)
    action = _actions(engine.cls.ACTIONS)
    watchdog["properties"] |= {
        "action": action,
        "escalate": {"properties": {"action": action}},
    }
    then["properties"] |= {
        "engine": {"const": engine.name},
        "watchdog": watchdog,
        "devices": {
            "type": "object",
            "propertyNames": {
                "pattern": f"^(?:{keys.DEVICE_ID})",
                "not": {"enum": list(keys.RESERVED_IDS)},
            },
            "additionalProperties": _by_driver("device", known),
        },
        "migration": {"$ref": "#/$defs/migration"},
    }
    then["properties"].setdefault("boot", {"$ref": "#/$defs/boot"})
    return {
        "if": _is("engine", engine.name, absent=engine.name == keys.DEFAULT_ENGINE),
        "then": then,
    }


def _by_driver(kind: str, drivers: list[Driver]) -> JsonSchema:
    """Describe an entry whose keys follow from the driver that it names."""
    named = [driver.name for driver in drivers]
    entries = [
        {"if": _is("driver", name), "then": {"$ref": f"#/$defs/{kind}-{name}"}} for name in named
    ]
    return {
        "type": "object",
        "required": ["driver"],
        "properties": {"driver": {"enum": named}},
        # An engine that no such driver fits; `allOf` may not be empty.
        **({"allOf": entries} if entries else {}),
    }


def _is(key: str, name: str, *, absent: bool = False) -> JsonSchema:
    condition: JsonSchema = {"properties": {key: {"const": name}}}
    return condition if absent else condition | {"required": [key]}


def _actions(actions: Iterable[Action]) -> JsonSchema:
    able = frozenset(actions)
    return {"enum": [action.value for action in Action if action in able]}

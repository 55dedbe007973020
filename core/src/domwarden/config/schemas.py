"""Compiled voluptuous schemas that take YAML's values for what they are."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

from domwarden.plugins import Driver
from domwarden.plugins.vetting import option_keys


@dataclasses.dataclass(frozen=True, eq=False)
class Section:
    """The schema of one section of a file, and in ``owner`` whose it is."""

    schema: Any
    keys: tuple[str, ...]
    validate: Callable[[Any], Any]
    owner: str


def section(schema: Any, owner: str) -> Section:
    """Compile a schema; keys it does not name are refused, whatever it says about extra ones."""
    import voluptuous  # here, because `domwarden --help` must not pay for it

    required = False
    while isinstance(schema, voluptuous.Schema):
        required, schema = schema.required, schema.schema
    compiled = _strict()(schema, required=required, extra=voluptuous.PREVENT_EXTRA)
    return Section(schema, tuple(option_keys(schema) or ()), compiled, owner)


@functools.lru_cache(maxsize=256)
def driver_section(driver: Driver) -> Section:
    """Return the compiled ``SCHEMA`` of a driver."""
    return section(driver.cls.SCHEMA, describe(driver))


@functools.lru_cache(maxsize=256)
def host_section(driver: Driver) -> Section | None:
    """Return the compiled ``HOST_SCHEMA`` of a driver, or None where it has none."""
    schema = getattr(driver.cls, "HOST_SCHEMA", None)
    return None if schema is None else section(schema, describe(driver))


def describe(driver: Driver) -> str:
    """Name a driver and where it comes from."""
    return f"{driver.kind} driver '{driver.name}' ({driver.distribution} {driver.version})"


@functools.cache
def _strict() -> Any:
    """Make a Schema for which ``true`` is not the int 1, and a float may lack its point."""
    import voluptuous  # as above

    def whole(value: Any) -> int:
        if type(value) is not int:
            raise voluptuous.TypeInvalid("expected int")
        return value

    def number(value: Any) -> float:
        if type(value) not in (int, float):
            raise voluptuous.TypeInvalid("expected float")
        return float(value)

    class Strict(voluptuous.Schema):
        # Every nested schema passes through here, those inside All, Any and lists too.
        def _compile(self, schema: Any) -> Any:
            if schema is int or schema is float:
                schema = whole if schema is int else number
            return super()._compile(schema)  # type: ignore[no-untyped-call]  # voluptuous types none

    return Strict

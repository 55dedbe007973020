"""What makes a driver's class break the contract, found before any of it runs."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from domwarden.contract import (
    CONTRACT,
    Action,
    DeviceHooks,
    Engine,
    HostWatchdog,
    TimerClock,
)
from domwarden.plugins.hooks import arguments, hook_faults
from domwarden.plugins.offers import Kind

#: The keys of an entry that belong to the core and not to the driver.
OWN_KEYS: Mapping[Kind, frozenset[str]] = {
    Kind.DEVICE: frozenset({"driver", "timeouts"}),
    Kind.WATCHDOG: frozenset({"driver", "timeout", "action", "escalate"}),
    Kind.HOST_WATCHDOG: frozenset({"timeout", "required"}),
    Kind.ENGINE: frozenset(
        ["domain", "uuid", "engine", "memory", "vcpus", "watchdog", "devices", "migration"]
    ),
}


def faults(kind: Kind, cls: object) -> list[str]:
    """Return in what a driver breaks the contract, each as the end of a sentence about it."""
    if not inspect.isclass(cls):
        return [f"is not a class but {type(cls).__name__} {getattr(cls, '__name__', cls)!r:.80}"]
    found = [*_contract_faults(cls), *_schema_faults(kind, cls), *_misfits_faults(cls)]
    if kind is Kind.ENGINE:
        found += _engine_faults(cls)
    elif kind is Kind.HOST_WATCHDOG:
        found += _whole_faults(cls, HostWatchdog)
    else:
        found += hook_faults(cls)
        if cls.__eq__ is not object.__eq__:
            # pluggy refuses a second object that equals a registered one.
            found.append("must compare by identity: remove __eq__ (a dataclass: eq=False)")
    if kind is Kind.WATCHDOG:
        found += _watchdog_faults(cls)
    return found


def _contract_faults(cls: type) -> Iterator[str]:
    stated = getattr(cls, "contract", None)
    if stated is None:
        yield f"states no contract number: write `contract = {CONTRACT}` in the class"
    elif type(stated) is not int:
        yield f"states contract {stated!r:.40}, which is no whole number"
    elif stated != CONTRACT:
        newer = "domwarden" if stated > CONTRACT else "that distribution"
        yield f"speaks contract {stated}, this domwarden speaks {CONTRACT}: upgrade {newer}"


def _schema_faults(kind: Kind, cls: type) -> Iterator[str]:
    import voluptuous  # here, because `domwarden --help` must not pay for it

    for attribute in ("SCHEMA", "HOST_SCHEMA"):
        schema = getattr(cls, attribute, None)
        if schema is None:
            if attribute == "SCHEMA":
                yield "has no SCHEMA: write `SCHEMA = {}` where it takes no options"
            continue
        keys = option_keys(schema)
        if keys is None:
            yield f"has a {attribute} that is not a mapping of its keys"
            continue
        try:
            voluptuous.Schema(schema)
        except Exception as error:  # noqa: BLE001 - a stranger's validators may raise anything
            yield f"has a {attribute} that voluptuous refuses: {error}"
        taken = sorted(OWN_KEYS[kind].intersection(keys)) if attribute == "SCHEMA" else []
        if taken:
            yield f"has a SCHEMA with keys that belong to domwarden: {', '.join(taken)}"


def _misfits_faults(cls: type) -> Iterator[str]:
    # It is asked when a file is checked: there is no object of the class then.
    method = inspect.getattr_static(cls, "misfits", None)
    if method is not None and not isinstance(method, classmethod | staticmethod):
        yield "has `misfits` that is no class method: mark it @classmethod"


def option_keys(schema: object) -> list[str] | None:
    """Return the plain keys of a SCHEMA (a mapping, or one inside ``Schema`` or ``All``)."""
    mapping = option_mapping(schema)
    if mapping is None:
        return None
    return [key for key in (str(getattr(k, "schema", k)) for k in mapping) if key]


def option_mapping(schema: object) -> Mapping[Any, Any] | None:
    """Return the mapping of keys inside a SCHEMA, or None where there is none."""
    if isinstance(schema, Mapping):
        return schema
    inner = getattr(schema, "validators", None) or [getattr(schema, "schema", None)]
    if inner[0] is None or inner[0] is schema:
        return None
    return option_mapping(inner[0])


def _watchdog_faults(cls: type) -> Iterator[str]:
    if not isinstance(getattr(cls, "CLOCK", None), TimerClock):
        yield "states no CLOCK: write `CLOCK = TimerClock.GUEST` (or HOST, UNKNOWN)"
    yield from _action_faults(cls)


def _action_faults(cls: type) -> Iterator[str]:
    actions: object = getattr(cls, "ACTIONS", frozenset())
    if not isinstance(actions, frozenset) or not all(isinstance(a, Action) for a in actions):
        yield "has ACTIONS that are not a frozenset of Action"


def _whole_faults(cls: type, base: type) -> Iterator[str]:
    """Yield what keeps a class from being a whole one of those that ``base`` describes."""
    if not issubclass(cls, base):
        yield f"does not derive from domwarden.contract.{base.__name__}"
        return
    missing = sorted(getattr(cls, "__abstractmethods__", ()))
    if missing:
        yield f"does not implement {', '.join(missing)}"


def _engine_faults(cls: type) -> Iterator[str]:
    yield from _whole_faults(cls, Engine)
    if not issubclass(cls, Engine):
        return
    yield from _action_faults(cls)
    own: dict[str, tuple[str, ...]] = {}
    if cls.HOOKS is not None:
        own = arguments(cls.HOOKS) if inspect.isclass(cls.HOOKS) else {}
        if not own:
            yield "has HOOKS that are not a class with @hookspec functions"
    clashing = sorted(set(own).intersection(arguments(DeviceHooks)))
    if clashing:
        yield f"has HOOKS that redefine hooks of every device: {', '.join(clashing)}"
    if cls.DEVICE_HOOK and cls.DEVICE_HOOK not in own:
        yield f"has a DEVICE_HOOK '{cls.DEVICE_HOOK}' that is not among its HOOKS"

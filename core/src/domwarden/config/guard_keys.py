"""The keys of a guard file."""

from __future__ import annotations

import enum
import functools
from typing import Any

from domwarden.config.schemas import Section, section
from domwarden.contract import duration, path, size

#: The sections of ``guard`` that are mappings of their own.
SECTIONS = ("watchdogs", "checks", "repair")

#: A day: nobody waits longer for a machine to be reset, and every card's registers hold less.
_MOST_SECONDS = 86400.0


class CheckKind(enum.StrEnum):
    """What a check looks at."""

    COMMAND = "command"
    PID_FILE = "pid_file"
    LOAD = "load"
    MEMORY = "memory"
    WARDEN = "warden"


@functools.cache
def guard_keys() -> Section:
    """Return the keys of ``guard`` that hold one value each."""
    import voluptuous as v  # here, because `domwarden --help` must not pay for it

    return _own({
        v.Optional("interval", default="10s", description="How often the watchdogs are kicked."):
            _some_time(),
        v.Optional("timeout", default="60s", description="What the watchdogs are asked for."):
            _whole_seconds(),
        v.Optional("hand_over", default="300s",
                   description="How long a shutdown may take after the guard was told to end."):
            _whole_seconds(),
        v.Optional("state", default="/run/domwarden/guard",
                   description="Where ids of timers are kept; must be empty after a reboot."): path,
        v.Optional("lock_memory", default=True, description="Whether to stay out of swap."): bool,
        v.Optional("priority", default=1, description="Realtime priority; 0: none."):
            v.All(int, v.Range(0, 99, msg="expected a whole number from 0 to 99")),
    })  # fmt: skip


@functools.cache
def host_watchdog_keys() -> Section:
    """Return the keys of one of the machine's watchdogs that no driver owns."""
    import voluptuous as v  # as above

    return _own({
        v.Optional("timeout", description="What this one is asked for."): _whole_seconds(),
        v.Optional("required", default=False,
                   description="Whether the guard refuses to work without it."): bool,
    })  # fmt: skip


@functools.cache
def check_keys() -> Section:
    """Return the keys of every check."""
    import voluptuous as v  # as above

    return _own({
        v.Required("kind", description="What is looked at."): v.In([str(k) for k in CheckKind]),
        v.Optional("every", description="How often; by default at each kick."): _some_time(),
        v.Optional("retries", default=2, description="Failures in a row that are let pass."):
            v.All(int, v.Range(0, 1000, msg="expected a whole number from 0 to 1000")),
    })  # fmt: skip


@functools.cache
def kind_keys(kind: CheckKind) -> Section:
    """Return the keys of one kind of check."""
    import voluptuous as v  # as above

    patience = v.Optional("timeout", default="10s", description="How long it may take.")
    load = v.All(float, v.Range(0, min_included=False, msg="expected more than nothing"))
    schemas: dict[CheckKind, dict[Any, Any]] = {
        CheckKind.COMMAND: {
            v.Required("run", description="The program and its arguments."): command_line(),
            patience: _some_time(),
        },
        CheckKind.PID_FILE: {v.Required("path", description="A running daemon's."): path},
        CheckKind.LOAD: {
            v.Optional("one_minute", description="The most it may be."): load,
            v.Optional("five_minutes", description="The most it may be."): load,
            v.Optional("fifteen_minutes", description="The most it may be."): load,
        },
        CheckKind.MEMORY: {v.Required("free", description="What must be available."): size},
        CheckKind.WARDEN: {
            v.Optional("host_file", description="The host file of the warden."): path,
            v.Optional("timeout", default="30s", description="How long it may take."): _some_time(),
        },
    }
    return _own(schemas[kind])


@functools.cache
def repair_keys() -> Section:
    """Return the keys of ``repair``."""
    import voluptuous as v  # as above

    return _own({
        v.Required("run", description="The program and its arguments."): command_line(),
        v.Optional("timeout", default="60s", description="How long it may take."): _some_time(),
        v.Optional("attempts", default=1, description="So often before kicking stops."):
            v.All(int, v.Range(1, 100, msg="expected a whole number from 1 to 100")),
    })  # fmt: skip


def command_line() -> Any:
    """Return the validator of a program with its arguments."""
    import voluptuous as v  # as above

    return v.All([str], v.Length(min=1, msg="expected the program and its arguments"))


def _some_time() -> Any:
    import voluptuous as v  # as above

    wanted = "expected at least 100ms and at most a day"
    return v.All(duration, v.Range(0.1, _MOST_SECONDS, msg=wanted))


def _whole_seconds() -> Any:
    import voluptuous as v  # as above

    def whole(value: float) -> float:
        if value != int(value):
            raise v.Invalid("expected whole seconds: watchdogs count them")
        return value

    wanted = "expected at least 2s and at most a day"
    return v.All(duration, v.Range(2.0, _MOST_SECONDS, msg=wanted), whole)


def _own(schema: dict[Any, Any]) -> Section:
    return section(schema, "domwarden")

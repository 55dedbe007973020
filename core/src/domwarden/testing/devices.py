"""The device contract kit: what can be checked of a driver's class without moving a domain.

:func:`check_device` runs every check; each of them is public too.  A broken promise raises
:class:`~domwarden.testing.engines.BrokenPromiseError`, an AssertionError.  Moves are in
:mod:`domwarden.testing.world`.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import itertools
import json
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from domwarden.contract import (
    Action,
    Definition,
    Domain,
    DriverError,
    End,
    Expiry,
    Host,
    Job,
    Movement,
    QemuArgument,
    QemuHooks,
    Refusal,
    Step,
)
from domwarden.plugins import WATCHDOG_ID, DomainRoom, Driver, Kind
from domwarden.plugins.hooks import implemented
from domwarden.plugins.vetting import faults
from domwarden.testing.engines.bench import BrokenPromiseError
from domwarden.testing.quiet import io_of

#: No device of the kit's domain writes here; a path that surely does not exist.
NOWHERE = Path("/nonexistent/domwarden")


def check_device(
    cls: type,
    options: Mapping[str, Any] | None = None,
    *,
    kind: Kind = Kind.DEVICE,
    refused: Sequence[Mapping[str, Any]] = (),
    engine_hooks: Collection[str] = ("attach",),
    host_settings: Mapping[str, Any] | None = None,
) -> None:
    """Check everything that a driver's class promises.

    ``options`` are the driver's own keys as a domain file has them (``{"timeout": "30s"}``),
    ``refused`` others that its SCHEMA must not take, ``host_settings`` its section of the host
    file.  ``engine_hooks`` are the engines' hooks that it claims: ``attach``, ``qemu_args``.
    """
    check_class(cls, kind, engine_hooks)
    validated = accepted_options(cls, options or {})
    for wrong in (*refused, {**(options or {}), "no-such-option": True}):
        check_refuses(cls, wrong)
    settings = accepted_settings(cls, host_settings)
    check_objects(cls, validated, kind)
    check_hooks(cls, validated, kind, settings)


def check_class(cls: type, kind: Kind = Kind.DEVICE, engine_hooks: Collection[str] = ()) -> None:
    """Check the contract number, the schemas, the hooks' names and arguments, and identity."""
    found = faults(kind, cls)
    expect(not found, f"{cls.__name__} {'; '.join(found)}")
    for hook in engine_hooks:
        expect(hook in implemented(cls), f"{cls.__name__} implements {hook}")


def accepted_options(cls: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the driver's SCHEMA makes of its options; it must take them, and stay plain."""
    return _validated(cls.SCHEMA, options, f"SCHEMA of {cls.__name__}")


def accepted_settings(cls: Any, settings: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what the driver's HOST_SCHEMA makes of its section; None: it needs no section."""
    if settings is None:
        return {}
    schema = getattr(cls, "HOST_SCHEMA", None)
    expect(schema is not None, f"{cls.__name__} has a HOST_SCHEMA for its host settings")
    return _validated(schema, settings, f"HOST_SCHEMA of {cls.__name__}")


def check_refuses(cls: Any, options: Mapping[str, Any]) -> None:
    """Check that the driver's SCHEMA refuses options, with an error that voluptuous knows."""
    import voluptuous  # here, because importing the kit must stay cheap

    from domwarden.config.schemas import section

    try:
        section(cls.SCHEMA, cls.__name__).validate(dict(options))
    except voluptuous.MultipleInvalid:
        return
    raise BrokenPromiseError(f"the SCHEMA of {cls.__name__} refuses {dict(options)!r}")


def check_objects(cls: Any, options: Mapping[str, Any], kind: Kind = Kind.DEVICE) -> None:
    """Check that making a device takes no I/O, leaves its options alone, and gives an identity."""
    given = copy.deepcopy(dict(options))
    first, done = io_of(lambda: cls(_id(kind), given))
    expect(not done, f"making a {cls.__name__} does no I/O, but it did: {', '.join(done)}")
    expect(given == dict(options), f"making a {cls.__name__} leaves its options alone")
    second = cls(_id(kind), copy.deepcopy(dict(options)))
    expect(first != second and first == first, f"a {cls.__name__} equals itself only")


def check_hooks(
    cls: Any,
    options: Mapping[str, Any],
    kind: Kind = Kind.DEVICE,
    host_settings: Mapping[str, Any] | None = None,
) -> None:
    """Check every hook at every step of every movement, on either end, without running a job.

    A hook decides without I/O, answers what its specification allows, does so without what an
    earlier object of the device knew, and may be asked to recover from a step that never ran.
    """
    used = _room(cls, options, kind)
    for question in _questions(cls, host_settings or {}):
        what = f"{cls.__name__}.{_words(question)}"
        _ask(used, question)  # what a hook imports at its first call is no I/O of its own
        answer, done = io_of(functools.partial(_ask, used, question))
        expect(not done, f"{what} decides without I/O, but it did: {', '.join(done)}")
        _check_answer(what, answer)
        again = _ask(_room(cls, options, kind), question)
        expect(
            _kind_of(again) == _kind_of(answer),
            f"{what}: a fresh object answers like one that was asked before",
        )


def expect(kept: bool, promise: str) -> None:
    """Raise BrokenPromiseError unless the promise was kept."""
    if not kept:
        raise BrokenPromiseError(promise)


def _validated(schema: Any, data: Mapping[str, Any], what: str) -> dict[str, Any]:
    import voluptuous  # as above

    from domwarden.config.schemas import section
    from domwarden.config.sections import plain_json

    try:
        made = section(schema, what).validate(copy.deepcopy(dict(data)))
    except voluptuous.MultipleInvalid as error:
        raise BrokenPromiseError(f"the {what} accepts {dict(data)!r}: {error}") from error
    try:
        plain: dict[str, Any] = plain_json(made)
    except TypeError as error:
        raise BrokenPromiseError(
            f"the {what} makes plain JSON of its options, not {error}"
        ) from error
    return plain


def _id(kind: Kind) -> str:
    return WATCHDOG_ID if kind is Kind.WATCHDOG else "device0"


def _room(cls: Any, options: Mapping[str, Any], kind: Kind) -> DomainRoom:
    driver = Driver(kind, cls.__name__.lower(), cls, "under-test", "0")
    made = cls(_id(kind), copy.deepcopy(dict(options)))
    return DomainRoom(_domain({}), {_id(kind): (driver, made)}, QemuHooks)


def _domain(host_settings: Mapping[str, Any]) -> Domain:
    definition = Definition("kit", "00000000-0000-0000-0000-000000000000", "kit", 2**24)
    return Domain(definition, Host("here", NOWHERE, _EveryDriver(host_settings)))


class _EveryDriver(dict[str, Mapping[str, Any]]):
    """Host settings that are found under whatever name the driver has in its entry point."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__()
        self._settings = settings

    def get(self, _name: str, _default: Any = None) -> Any:
        return self._settings


Question = tuple[str, dict[str, Any], Domain]


def _questions(cls: type, host_settings: Mapping[str, Any]) -> Iterator[Question]:
    hooks = set(implemented(cls))
    base = _domain(host_settings)
    for end, movement in itertools.product(End, (None, *Movement)):
        moving = dataclasses.replace(
            base, end=end, movement=movement, migration="kit-1" if movement else "", peer="there"
        )
        for hook in sorted(hooks.intersection({"open", "close", "finish", "describe"})):
            yield hook, {}, moving
        if "qemu_args" in hooks:
            yield "qemu_args", {}, moving
        for hook in sorted(hooks.intersection({"migrate", "receive", "recover"})):
            if movement is not None:
                for step in Step:
                    yield hook, {"step": step}, moving
    if "watchdog_fired" in hooks:
        yield "watchdog_fired", {"expiry": Expiry("kit", "kit", Action.RESET, 0.0)}, base
    if "clears" in hooks:
        yield "clears", {"blocker": Refusal("kit", "some reason", "some remedy")}, base


def _ask(room: DomainRoom, question: Question) -> Any:
    hook, arguments, domain = question
    try:
        if hook == "qemu_args":
            answers: Mapping[str, Any] = room.ask(hook, domain=domain)
        else:
            answers = getattr(room, hook)(domain, **arguments)
    except DriverError as error:
        return error
    return next(iter(answers.values()), None)


def _check_answer(what: str, answer: Any) -> None:
    if isinstance(answer, DriverError):
        raise BrokenPromiseError(f"{what}: {answer.message}") from answer
    if isinstance(answer, Job):
        lasts = answer.timeout_seconds
        expect(bool(answer.name), f"{what}: its job has a name")
        expect(lasts > 0 and math.isfinite(lasts), f"{what}: its job is bounded in time")
        expect(callable(answer.run), f"{what}: its job can be run")
    elif isinstance(answer, Refusal):
        whole = answer.code and answer.reason and answer.remedy
        expect(bool(whole), f"{what}: its refusal has a code, a reason and a remedy")
    elif isinstance(answer, list):
        for argument in answer:
            expect(isinstance(argument, QemuArgument), f"{what}: returns QemuArguments only")
            expect(_is_plain(argument.value), f"{what}: {argument.option} holds plain JSON")
    elif isinstance(answer, Mapping):
        expect(_is_plain(answer), f"{what}: returns plain JSON")


def _is_plain(value: Any) -> bool:
    try:
        return bool(json.loads(json.dumps(value)) == value)
    except (TypeError, ValueError):
        return False


def _kind_of(answer: Any) -> object:
    if isinstance(answer, Job):
        return answer.name
    if isinstance(answer, Refusal):
        return answer.code
    return type(answer)


def _words(question: Question) -> str:
    hook, arguments, domain = question
    step = arguments.get("step")
    parts = [domain.end.value, domain.movement or "no move"]
    return f"{hook}({', '.join([step.name, *parts] if isinstance(step, Step) else parts)})"

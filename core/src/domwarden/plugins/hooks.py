"""How a driver's marked functions differ from the hooks that exist, found before one runs."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from domwarden.contract import (
    DeviceHooks,
    EmbeddedHooks,
    QemuHooks,
    XenHooks,
    hookimpl,
    hookspec,
)

_IMPL = hookimpl.project_name + "_impl"
_SPEC = hookspec.project_name + "_spec"


def arguments(specifications: type) -> dict[str, tuple[str, ...]]:
    """Return the arguments of each hook that a class of specifications declares."""
    found = {}
    for name, function in inspect.getmembers(specifications, inspect.isfunction):
        if hasattr(function, _SPEC):
            found[name] = tuple(inspect.signature(function).parameters)[1:]
    return found


#: The hooks that this core knows by itself; a third party's engine adds its own (``Engine.HOOKS``).
KNOWN = (
    arguments(DeviceHooks) | arguments(EmbeddedHooks) | arguments(QemuHooks) | arguments(XenHooks)
)


def implemented(cls: type) -> list[str]:
    """Return the names of the hooks that a class implements."""
    return sorted(options.get("specname") or name for name, _, options in _marked(cls))


def _functions(cls: type) -> Iterator[tuple[str, Any]]:
    for name in dir(cls):
        static = inspect.getattr_static(cls, name, None)
        function = static.__func__ if isinstance(static, staticmethod | classmethod) else static
        if inspect.isfunction(function):
            yield name, function


def _marked(cls: type) -> Iterator[tuple[str, Any, Mapping[str, Any]]]:
    for name, function in _functions(cls):
        options = getattr(function, _IMPL, None)
        if isinstance(options, dict):
            yield name, function, options


def hook_faults(cls: type) -> Iterator[str]:
    """Yield each mistake in the hooks of a class, as the end of a sentence about it."""
    marked = set()
    for name, function, options in _marked(cls):
        marked.add(name)
        hook = options.get("specname") or name
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            yield f"has `async def {name}`: write a plain def that returns a Job with an async run"
        elif options.get("wrapper") or options.get("hookwrapper"):
            yield f"has the hook wrapper {name}: it answers only for itself, write a plain hook"
        elif inspect.isgeneratorfunction(function):
            yield f"has a `yield` in hook {name}: write a plain function that returns its answer"
        elif hook in KNOWN:
            yield from _argument_faults(cls, name, function, KNOWN[hook])
        elif not options.get("optionalhook"):
            close = difflib.get_close_matches(hook, KNOWN, n=1)
            known = f"did you mean {close[0]}" if close else f"the hooks are {', '.join(KNOWN)}"
            yield (
                f"has a hook {hook}, which does not exist: {known}"
                " (a hook of a third party's engine is marked hookimpl(optionalhook=True))"
            )
    # Only equal names: a helper may well be called `closed` or `describe_bridge`.
    for name, function in _functions(cls):
        if name in KNOWN and name not in marked and getattr(function, _SPEC, None) is None:
            yield f"has a method {name} without @hookimpl: mark it, or rename it if it is no hook"


def argument_faults(cls: type, specified: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    """Yield each wrong argument in a class's hooks of a third party's engine."""
    for name, function, options in _marked(cls):
        hook = options.get("specname") or name
        if hook in specified and hook not in KNOWN:
            yield from _argument_faults(cls, name, function, specified[hook])


def _argument_faults(
    cls: type, name: str, function: Any, specified: tuple[str, ...]
) -> Iterator[str]:
    parameters = list(inspect.signature(function).parameters.values())
    if not isinstance(inspect.getattr_static(cls, name), staticmethod):
        parameters = parameters[1:]
    allowed = f"it may take {', '.join(specified)}"
    for parameter in parameters:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            yield f"has *{parameter.name} in hook {name}, which would stay empty: {allowed}"
        elif parameter.name not in specified:
            yield f"has an unknown argument '{parameter.name}' in hook {name}: {allowed}"
        elif parameter.default is not parameter.empty or parameter.kind is parameter.KEYWORD_ONLY:
            # pluggy passes neither: a default would silently be all that the hook ever sees.
            yield f"has a default or keyword-only '{parameter.name}' in hook {name}: make it plain"

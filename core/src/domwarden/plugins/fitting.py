"""Whether the drivers of a domain fit each other and the rest of its file."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Mapping
from typing import Any

from domwarden.contract import Definition, DriverError, Misfit
from domwarden.plugins.hooks import argument_faults, arguments, implemented
from domwarden.plugins.lines import one_line
from domwarden.plugins.loading import Driver


@functools.lru_cache(maxsize=1024)
def misfit(engine: Driver, driver: Driver) -> tuple[str, str] | None:
    """Return what is wrong and a hint when the engine can do nothing with a driver's devices.

    A driver joins an engine by implementing the engine's ``DEVICE_HOOK``.
    """
    wanted = engine.cls.DEVICE_HOOK
    hooks = implemented(driver.cls)
    where = f"{driver.distribution} {driver.version}"
    if wanted and wanted not in hooks:
        close = difflib.get_close_matches(wanted, hooks, n=1)
        what = f"engine '{engine.name}' does not know {driver.kind} driver '{driver.name}'"
        if close:
            return what, f"{where} has a hook '{close[0]}'; the engine's hook is '{wanted}'"
        return what, f"{where} has no hook '{wanted}'; use another driver or another engine"
    own = arguments(engine.cls.HOOKS) if engine.cls.HOOKS else {}
    faults = list(argument_faults(driver.cls, own))
    if faults:
        return f"{driver.kind} driver '{driver.name}' ({where}) {'; '.join(faults)}", ""
    return None


def misfits(driver: Driver, definition: Definition, options: Mapping[str, Any]) -> list[Misfit]:
    """Return what a driver itself has against a domain; raises DriverError when it cannot say."""
    ask = getattr(driver.cls, "misfits", None)
    if ask is None:
        return []
    try:
        found = list(ask(definition, options))
    except Exception as error:
        raise _fault(driver, f"raised {one_line(error)}") from error
    if not all(isinstance(each, Misfit) for each in found):
        raise _fault(driver, "returned something else than Misfit objects")
    return found


def _fault(driver: Driver, what: str) -> DriverError:
    return DriverError(
        f"{driver.distribution} {driver.version}: {driver.kind} driver '{driver.name}':"
        f" misfits {what}",
        hint="this is a bug of that distribution",
        distribution=driver.distribution,
        version=driver.version,
    )

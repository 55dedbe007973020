"""Whether an engine knows a device's driver."""

from __future__ import annotations

import difflib
import functools

from domwarden.plugins.hooks import argument_faults, arguments, implemented
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

"""A card in the device model of Xen's hvm guests (QEMU, in dom0 or in a stub domain)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from domwarden.contract import Action, Definition, Domain, Misfit, PermanentError

#: What QEMU as Xen's device model is told to do, by the action.  It says that the card expired, by
#: which the engine acts through Xen: the processors are Xen's, and a reset of QEMU's devices does
#: not reach them.
ACTIONS: Mapping[Action, str] = {
    Action.RESET: "reset",
    Action.POWEROFF: "poweroff",
    Action.NOTIFY: "none",
}


def misfits(definition: Definition, card: str) -> Iterator[Misfit]:
    """Yield why a domain of Xen's cannot have the card, or not with that action."""
    if definition.engine != "xen":
        return
    kind = str(definition.options.get("type", "pvh"))
    if kind != "hvm":
        what = f"a {kind} guest of xen has no emulated cards, so no {card}"
        yield Misfit(("driver",), what, "type: hvm, or the watchdog xen_wdt")
    watchdog = definition.watchdog
    if watchdog is not None and watchdog.action not in ACTIONS:
        what = f"the {card} of an hvm guest of xen cannot do {watchdog.action}"
        hint = f"use {', '.join(sorted(ACTIONS))}, or the watchdog xen_wdt"
        yield Misfit(("action",), what, hint)


def device_model(domain: Domain, card: Mapping[str, Any]) -> dict[str, Any]:
    """Return the device model's arguments; raises PermanentError where there is no such card."""
    for found in misfits(domain.definition, str(card["driver"])):
        raise PermanentError(found.what, hint=found.hint)
    watchdog = domain.definition.watchdog
    action = watchdog.action if watchdog is not None else Action.RESET
    arguments = ["-device", json.dumps(card, separators=(",", ":"))]
    return {"device_model_args_hvm": [*arguments, "-action", f"watchdog={ACTIONS[action]}"]}

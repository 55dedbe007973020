"""From what a domain's file asks for to what this host would really start."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from domwarden.contract import Action, Definition, EngineError, Room

from . import configuration
from .facts import Facts
from .schema import Options

#: What Xen leaves to us after an expiry, where the domain must wake again to get it; a ``pv`` guest
#: that was shut down by its watchdog never wakes (xc_domain_resume needs it to have suspended).
WAKING = frozenset({Action.PAUSE, Action.NMI, Action.SHUTDOWN, Action.NOTIFY})
#: Keys of device specifications by which the guest knows a device; the rest is the host's.
GUEST_KEYS: Mapping[str, tuple[str, ...]] = {"vif": ("mac", "model"), "disk": ("vdev", "access")}


def live(definition: Definition, room: Room, here: Facts) -> Definition:
    """Return the live definition; what an earlier one has settled stays."""
    options = Options(**definition.options)
    _check(definition, options)
    answers = room.ask("xl_config")
    merged = configuration.merged(answers)
    if options.type == "pvh" and merged.get("pci"):
        raise EngineError(
            f"{definition.name}: a pvh guest cannot have PCI devices of the host",
            hint="type: hvm or pv, which then cannot move either",
        )
    configuration.render(configuration.settings(definition, merged))
    settled = definition.live
    facts: dict[str, Any] = {
        "type": options.type,
        **here.as_json(),
        "devices": seen_by_guest(answers),
        **settled,
    }
    if definition.watchdog is not None:
        facts["watchdog_action"] = str(definition.watchdog.action)
        facts["on_watchdog"] = str(merged.get("on_watchdog", "preserve"))
    return dataclasses.replace(definition, live=facts)


def place(definition: Definition, room: Room) -> dict[str, Any]:
    """Return the whole configuration of a live definition on this host, as data.

    Raises EngineError when a device is not what it was when the domain was started.
    """
    if "devices" not in definition.live:
        raise EngineError(f"{definition.name}: not a live definition: devices are missing")
    answers = room.ask("xl_config")
    here, started = seen_by_guest(answers), definition.live["devices"]
    for device in sorted({*here, *started}):
        if here.get(device) != started.get(device):
            raise EngineError(
                f"{definition.name}: device {device} is {here.get(device)} here, but was"
                f" {started.get(device)} when the domain was started"
            )
    return configuration.settings(definition, configuration.merged(answers))


def rendered(definition: Definition, room: Room) -> str:
    """Return the text of the configuration of a live definition on this host."""
    return configuration.render(place(definition, room))


def seen_by_guest(answers: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return, by device, what the guest knows it by."""
    found: dict[str, Any] = {}
    for device, answer in answers.items():
        kept = {
            key: [
                {name: item[name] for name in names if name in item}
                for item in answer[key]
                if isinstance(item, Mapping)
            ]
            for key, names in GUEST_KEYS.items()
            if key in answer
        }
        if kept:
            found[device] = kept
    return found


def _check(definition: Definition, options: Options) -> None:
    name = definition.name
    if definition.memory_bytes < 2**20 or definition.memory_bytes % 2**20:
        raise EngineError(
            f"{name}: memory of {definition.memory_bytes} bytes", hint="whole MiB are needed"
        )
    if options.stub_domain and options.type != "hvm":
        raise EngineError(
            f"{name}: a {options.type} guest has no device model", hint="only hvm has: type: hvm"
        )
    if options.type != "hvm" and not definition.boot.get("kernel"):
        raise EngineError(f"{name}: a {options.type} guest needs boot.kernel")
    watchdog = definition.watchdog
    if watchdog is None or options.type != "pv":
        return
    actions = {watchdog.action, *([watchdog.escalate.action] if watchdog.escalate else ())}
    if watchdog.action in WAKING:
        raise EngineError(
            f"{name}: watchdog action {watchdog.action}: a pv guest whose watchdog expired cannot"
            f" go on, so {', '.join(sorted(actions & WAKING))} is impossible",
            hint="use reset, poweroff or dump, or type: pvh",
        )

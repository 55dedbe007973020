"""From what a domain's file asks for to what this host would really start."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from domwarden.contract import Definition, EngineError, Room

from . import configuration, misfits
from .facts import Facts
from .schema import Options

#: Keys of device specifications by which the guest knows a device; the rest is the host's.
GUEST_KEYS: Mapping[str, tuple[str, ...]] = {"vif": ("mac", "model"), "disk": ("vdev", "access")}


def live(definition: Definition, room: Room, here: Facts) -> Definition:
    """Return the live definition; what an earlier one has settled stays."""
    options = Options(**definition.options)
    misfits.refuse(definition)
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

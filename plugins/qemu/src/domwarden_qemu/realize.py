"""From what a domain's file asks for to what this host would really start."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from domwarden.contract import Definition, EngineError, QemuArgument, Room

from .addresses import assign
from .arguments import WATCHDOG_ACTIONS
from .capabilities import Capabilities
from .schema import Options


def live(definition: Definition, room: Room, capabilities: Capabilities) -> Definition:
    """Return the live definition; what an earlier one has settled stays."""
    if definition.memory_bytes < 1024**2 or definition.memory_bytes % 1024**2:
        raise EngineError(
            f"{definition.name}: memory of {definition.memory_bytes} bytes",
            hint="whole MiB are needed",
        )
    options = Options(**definition.options)
    settled = definition.live
    arguments = ask(room)
    placed, addresses = assign(arguments, capabilities.is_pci, settled.get("addresses", {}))
    facts: dict[str, Any] = {
        "machine": capabilities.machine(options.machine),
        "cpu": capabilities.cpu(options.cpu),
        "accel": capabilities.accel,
        "qemu": capabilities.version,
        **settled,
        "addresses": addresses,
        "devices": _devices(placed, settled),
    }
    if definition.watchdog is not None:
        facts["watchdog_action"] = WATCHDOG_ACTIONS[definition.watchdog.action]
    return dataclasses.replace(definition, live=facts)


def _devices(placed: Sequence[QemuArgument], settled: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the cards as they are here, and those of the guest that are unplugged just now."""
    here = [dict(argument.value) for argument in placed if argument.option == "device"]
    ids = {entry.get("id") for entry in here}
    away = [dict(entry) for entry in settled.get("devices", ()) if entry.get("id") not in ids]
    return here + away


def action(definition: Definition) -> str:
    """Return the watchdog's action in the contract's words; empty without a watchdog."""
    return str(definition.watchdog.action) if definition.watchdog is not None else ""


def ask(room: Room) -> list[QemuArgument]:
    """Return what all devices want on this host's command line, in the order of the file."""
    return [argument for answer in room.ask("qemu_args").values() for argument in answer]


def place(definition: Definition, room: Room) -> list[QemuArgument]:
    """Return this host's device options at the live definition's addresses.

    Raises EngineError when a device is not what it was when the domain was started: a guest does
    not survive another card in the same slot.
    """
    started: dict[str, Mapping[str, Any]] = {
        entry["id"]: entry for entry in definition.live.get("devices", ()) if "id" in entry
    }
    placed: list[QemuArgument] = []
    for argument in ask(room):
        value = dict(argument.value)
        if argument.option == "device":
            was = started.pop(value.get("id", ""), None)
            if "id" in value and (was is None or was.get("driver") != value.get("driver")):
                raise EngineError(
                    f"{definition.name}: device {value['id']} is a {value.get('driver')} here,"
                    f" but {was.get('driver') if was else 'not there'} when the domain was started"
                )
            if was is not None and "addr" in was:
                value.setdefault("addr", was["addr"])
        if not argument.later:
            placed.append(QemuArgument(argument.option, value))
    # One that is missing here was unplugged for the move; if not, QEMU names it when it loads.
    return placed

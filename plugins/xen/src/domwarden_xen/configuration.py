"""The one place where an xl configuration (xl.cfg(5)) is made from data."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from domwarden.contract import Action, Definition, DriverError, EngineError

from . import devicemodel
from .schema import Options

#: What the engine itself settles; a device that gives one of these is refused.
OWN = frozenset(
    {"name", "uuid", "type", "memory", "maxmem", "vcpus", "kernel", "ramdisk", "cmdline"}
    | {"on_poweroff", "on_reboot", "on_crash", "on_soft_reset", "serial", "vnc", "sdl"}
)
#: What a device gives to the device model; the engine adds a monitor of its own.
DEVICE_MODEL = "device_model_args_hvm"
_KEY = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)

#: What xl does after an expiry where the watchdog's driver does not say; else Xen only stops it.
_AFTER: Mapping[Action, str] = {
    Action.RESET: "restart",
    Action.POWEROFF: "destroy",
    Action.DUMP: "coredump-restart",
}

Settings = Mapping[str, Any]


def settings(definition: Definition, devices: Settings) -> dict[str, Any]:
    """Return the whole configuration of a live definition, as data."""
    options = Options(**definition.options)
    mebibytes = definition.memory_bytes // 2**20
    made: dict[str, Any] = {
        "name": definition.name,
        "uuid": definition.uuid,
        "type": options.type,
        "memory": mebibytes,
        "maxmem": mebibytes,
        "vcpus": definition.vcpus,
    }
    for key, ours in (("kernel", "kernel"), ("initrd", "ramdisk"), ("cmdline", "cmdline")):
        if value := definition.boot.get(key):
            made[ours] = str(value)
    if options.type == "hvm":
        # One serial port for the console; no window that anybody could look through.
        made |= {"serial": "pty", "vnc": False, "sdl": False}
        if options.stub_domain:
            made["device_model_stubdomain_override"] = True
    watchdog = definition.watchdog
    if watchdog is not None and options.type == "hvm" and not options.stub_domain:
        own = devicemodel.arguments(definition.uuid)
        devices = {**devices, DEVICE_MODEL: [*own, *devices.get(DEVICE_MODEL, ())]}
    after = _AFTER.get(watchdog.action, "preserve") if watchdog is not None else "preserve"
    on_watchdog = str(devices.get("on_watchdog", after))
    made |= {
        "on_poweroff": "destroy",
        "on_reboot": "restart",
        # A guest that panicked has told Xen so, and its watchdog will not expire any more: the same
        # is done to it.  Without a watchdog its remains are left to look at.
        "on_crash": on_watchdog,
        "on_watchdog": on_watchdog,
        "on_soft_reset": "soft-reset",
    }
    return {**made, **{key: value for key, value in devices.items() if key != "on_watchdog"}}


def merged(answers: Mapping[str, Settings]) -> dict[str, Any]:
    """Return what all devices want as one; raises DriverError where two contradict each other."""
    made: dict[str, Any] = {}
    for device, answer in answers.items():
        for key, value in answer.items():
            if key in OWN or not _KEY.fullmatch(key):
                raise DriverError(f"{device}: xl_config: {key!r} is not a device's to set")
            if isinstance(value, list | tuple):
                made.setdefault(key, [])
                made[key] = [*made[key], *value]
            elif made.setdefault(key, value) != value:
                raise DriverError(
                    f"{device}: xl_config: {key} is {value!r} here, but {made[key]!r} for another"
                    " device"
                )
    return made


def render(configuration: Settings) -> str:
    """Return the text that xl reads; raises EngineError for what has no form in it."""
    return "".join(f"{key} = {_value(key, value)}\n" for key, value in configuration.items())


def _value(key: str, value: Any) -> str:
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, Sequence):
        items = [item if isinstance(item, str) else _specification(key, item) for item in value]
        return f"[{', '.join(quoted(item) for item in items)}]"
    raise EngineError(f"xl configuration: {key}: {value!r} has no form")


def _specification(key: str, device: Any) -> str:
    """Return one device as ``key=value,...``, where a comma cannot be written."""
    if not isinstance(device, Mapping):
        raise EngineError(f"xl configuration: {key}: {device!r} has no form")
    parts: list[str] = []
    for name, item in device.items():
        text = str(int(item)) if isinstance(item, bool) else str(item)
        if "," in text or text != text.strip():
            raise EngineError(
                f"xl configuration: {key}: {name}: {text!r} cannot be written there",
                hint="xl knows no commas and no outer blanks inside of a device's values",
            )
        parts.append(f"{name}={text}")
    return ",".join(parts)


#: The escapes that xl reads back; its \\x and octal ones are rejected, or silently dropped (4.17).
_ESCAPES = {
    '"': '\\"',
    "\\": "\\\\",
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
}


def quoted(text: str) -> str:
    """Return a string as xl's parser reads it back; raises EngineError for what it cannot read."""
    made = "".join(_ESCAPES.get(character, character) for character in text)
    if any(ord(character) < 0x20 or ord(character) == 0x7F for character in made):
        raise EngineError(f"xl configuration: {text!r} has a control character that xl cannot read")
    return f'"{made}"'

"""The one place where a QEMU command line is made from data."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from domwarden.contract import Action, Definition, DriverError, EngineError, QemuArgument

from .files import Files

#: Options that QEMU 7.2 reads as JSON; the others know only ``key=value,...``.
JSON_OPTIONS = frozenset({"device", "netdev", "blockdev", "object"})

#: The descriptors that QEMU inherits.
CONTROL_FD, EVENTS_FD, MOVE_FD, CONSOLE_FD, STREAM_FD = 10, 11, 12, 13, 14

#: Before the engine's own ids, so that no device of a domain's file can have the same.
PREFIX = "domwarden."

#: What a watchdog's action is called in QEMU (``-action watchdog=``).  ``dump`` pauses: the dump is
#: written by whoever hears the event, and a guest that waits meanwhile cannot lose its evidence.
WATCHDOG_ACTIONS: Mapping[Action, str] = {
    Action.RESET: "reset",
    Action.POWEROFF: "poweroff",
    Action.SHUTDOWN: "shutdown",
    Action.PAUSE: "pause",
    Action.DUMP: "pause",
    Action.NMI: "inject-nmi",
    Action.NOTIFY: "none",
}

#: QEMU's seccomp filter (qemu(1), -sandbox): none of this is needed by a running guest.
SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"


def render(argument: QemuArgument) -> list[str]:
    """Return one option as QEMU reads it."""
    if argument.option in JSON_OPTIONS:
        return [f"-{argument.option}", json.dumps(argument.value, separators=(",", ":"))]
    return [f"-{argument.option}", ",".join(_pairs(argument.option, "", argument.value))]


def _pairs(option: str, prefix: str, value: Mapping[str, Any]) -> list[str]:
    pairs: list[str] = []
    for key, item in value.items():
        if isinstance(item, Mapping):
            pairs += _pairs(option, f"{prefix}{key}.", item)
        elif isinstance(item, bool):
            pairs.append(f"{prefix}{key}={'on' if item else 'off'}")
        elif isinstance(item, str | int | float):
            pairs.append(f"{prefix}{key}={str(item).replace(',', ',,')}")  # QEMU's way to quote it
        else:
            raise DriverError(f"-{option}: {prefix}{key}: {item!r} has no form on a command line")
    return pairs


def command_line(
    definition: Definition,
    files: Files,
    binary: str,
    devices: Sequence[QemuArgument],
    *,
    held: bool,
    incoming: bool,
) -> list[str]:
    """Return the arguments that make QEMU start this live definition on this host."""
    live = definition.live
    for key in ("machine", "cpu", "accel"):
        if key not in live:
            raise EngineError(f"{definition.name}: not a live definition: {key} is missing")
    arguments = [
        QemuArgument("name", {"guest": definition.name, "debug-threads": True}),
        QemuArgument("uuid", {"uuid": definition.uuid}),
        QemuArgument("machine", {"type": live["machine"], "usb": False}),
        QemuArgument("accel", {"accel": live["accel"]}),
        QemuArgument("cpu", {"model": live["cpu"], "check": True, "enforce": True}),
        QemuArgument("m", {"size": f"{definition.memory_bytes // 1024}k"}),
        QemuArgument("smp", {"cpus": definition.vcpus}),
        QemuArgument("rtc", {"base": "utc"}),
        QemuArgument("msg", {"timestamp": True}),
        QemuArgument(
            "action",
            {
                "reboot": "reset",
                "shutdown": "poweroff",
                # The watchdog, not the panic notifier, decides what becomes of a panicked guest.
                "panic": "none",
                "watchdog": live.get("watchdog_action", "reset"),
            },
        ),
    ]
    command = [binary, "-nodefaults", "-no-user-config", "-display", "none", "-sandbox", SANDBOX]
    command += ["-pidfile", str(files.pidfile)]
    for argument in arguments:
        command += _first_bare(argument) if argument.option in _IMPLIED else render(argument)
    command += _monitors(files)
    command += _boot(definition)
    for argument in devices:
        command += render(argument)
    if held or incoming:
        command.append("-S")
    if incoming:
        command += ["-incoming", "defer"]
    return command


#: Options whose first value has no key on the command line.
_IMPLIED = frozenset({"uuid", "accel", "cpu"})


def _first_bare(argument: QemuArgument) -> list[str]:
    option, text = render(argument)
    return [option, text.partition("=")[2]]


def _monitors(files: Files) -> list[str]:
    command: list[str] = []
    for name, number in (("control", CONTROL_FD), ("events", EVENTS_FD), ("move", MOVE_FD)):
        own = f"{PREFIX}{name}"
        socket = {"backend": "socket", "id": own, "fd": number, "server": True, "wait": False}
        command += render(QemuArgument("chardev", socket))
        command += render(QemuArgument("mon", {"chardev": own, "mode": "control"}))
    console = {
        "backend": "socket",
        "id": f"{PREFIX}console",
        "fd": CONSOLE_FD,
        "server": True,
        "wait": False,
        "logfile": str(files.console_log),
        "logappend": True,
    }
    command += render(QemuArgument("chardev", console))
    serial = {"driver": "isa-serial", "id": f"{PREFIX}console", "chardev": f"{PREFIX}console"}
    return command + render(QemuArgument("device", serial))


def _boot(definition: Definition) -> list[str]:
    command: list[str] = []
    for key, option in (("kernel", "-kernel"), ("initrd", "-initrd"), ("cmdline", "-append")):
        if value := definition.boot.get(key):
            command += [option, str(value)]
    return command

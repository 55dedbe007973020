"""The guest's shell on the serial console."""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable

from domwarden.embedded.clock import NS
from domwarden.embedded.guest import programs
from domwarden.embedded.guest.disk import first_disk
from domwarden.embedded.guest.layout import Counter, Dirtier, Kernel
from domwarden.embedded.guest.watchdog import WatchdogDevice
from domwarden.embedded.machine import EmbeddedMachine

#: What ends the shell's guest: the kernel does it.
ENDINGS = ("poweroff", "reboot")
HANGS = ("irqs-off", "panic", "corrupt")

HELP = """\
ping | uptime | help | reboot | poweroff
count [start [SECONDS] | stop]
dirty start BYTES_A_SECOND [AREA_BYTES] | dirty stop | dirty
watchdog start [SECONDS [KICK_SECONDS]] | stop | kill | status | timeout S | pretimeout S
hang irqs-off | panic | corrupt"""


def run_line(machine: EmbeddedMachine, line: str) -> str | None:
    """Run one line and print its answer; returns how the guest is to end, if it is."""
    words = line.split()
    say = machine.console.print
    if not words:
        return None
    if words[0] in ENDINGS and len(words) == 1:
        return words[0]
    if words[0] == "hang" and len(words) == 2 and words[1] in HANGS:
        say(f"hang {words[1]}")
        return words[1]
    command = _COMMANDS.get(words[0])
    try:
        if command is None:
            raise ValueError
        say(command(machine, words[1:]))
    except (ValueError, IndexError, OverflowError, struct.error):
        say(f"guest: cannot do {line!r}; try help")
    return None


def _ping(machine: EmbeddedMachine, words: list[str]) -> str:
    return "pong"


def _uptime(machine: EmbeddedMachine, words: list[str]) -> str:
    seconds = (machine.clock_ns() - Kernel.load(machine.memory).booted_ns) / NS
    return f"uptime {seconds:.3f}"


def _help(machine: EmbeddedMachine, words: list[str]) -> str:
    return HELP


def _count(machine: EmbeddedMachine, words: list[str]) -> str:
    if words[:1] == ["start"]:
        programs.start_counter(machine, float(words[1]) if words[1:] else 0.1, first_disk(machine))
    counter = Counter.load(machine.memory)
    if words[:1] == ["stop"]:
        counter.on = 0
        counter.store(machine.memory)
    return f"count {counter.value}"


def _dirty(machine: EmbeddedMachine, words: list[str]) -> str:
    if words[:1] == ["start"]:
        area = int(words[2]) if words[2:] else 1024 * 1024
        programs.start_dirtier(machine, int(words[1]), area)
    dirtier = Dirtier.load(machine.memory)
    if words[:1] == ["stop"]:
        dirtier.on = 0
        dirtier.store(machine.memory)
    return f"dirty {dirtier.written_pages}"


def _watchdog(machine: EmbeddedMachine, words: list[str]) -> str:
    device = WatchdogDevice(machine)
    verb = words[0] if words else "status"
    result = 0
    if verb == "start":
        seconds = int(words[1]) if words[1:] else 30
        result = programs.start_daemon(machine, seconds, float(words[2]) if words[2:] else 0.0)
    elif verb == "stop":
        programs.stop_daemon(machine, magic=True)
    elif verb == "kill":
        programs.stop_daemon(machine, magic=False)
    elif verb == "timeout":
        result = device.set_timeout(int(words[1]))
    elif verb == "pretimeout":
        result = device.set_pretimeout(int(words[1]))
    elif verb != "status":
        raise ValueError(verb)
    if result < 0:
        return f"watchdog: -{errno.errorcode[-result]}"
    state = device.state
    return (
        f"watchdog: {'armed' if state.active else 'off'} timeout {state.timeout_seconds}"
        f" pretimeout {state.pretimeout_seconds} left {device.time_left()}"
        f" bootstatus {state.bootstatus:#x}"
    )


_COMMANDS: dict[str, Callable[[EmbeddedMachine, list[str]], str]] = {
    "ping": _ping,
    "uptime": _uptime,
    "help": _help,
    "count": _count,
    "dirty": _dirty,
    "watchdog": _watchdog,
}

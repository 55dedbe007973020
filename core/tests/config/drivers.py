"""A throw-away engine with devices, and domain files for them."""

from pathlib import Path

import pytest

from ..plugins.throwaway import ENGINE, install

SOURCE = (
    ENGINE
    + """
from voluptuous import All, Any, In, Match, Optional, Range, Required

class Tiny(_Whole):
    SCHEMA = {Optional("machine", default="pc", description="The board."): In(["pc", "q35"])}
    HOST_SCHEMA = {Optional("binary"): units.path}
    HOOKS = EmbeddedHooks
    DEVICE_HOOK = "attach"
    ACTIONS = frozenset({Action.RESET, Action.PAUSE, Action.NOTIFY})

    @classmethod
    def misfits(cls, definition, options):
        if options.get("machine") == "q35" and definition.vcpus > 4:
            yield Misfit(("vcpus",), f"a q35 has 4, not {definition.vcpus}", "machine: pc")
        if options.get("machine") == "pc" and definition.watchdog and definition.vcpus == 64:
            yield Misfit(("machine",), "a pc of 64 has no watchdog")

class Booting(Tiny):
    SCHEMA = {Required("boot"): {Required("program"): In(["counter"])}}

class LonelyHooks:
    @hookspec
    def befriend(self, domain): ...

class Lonely(Tiny):
    HOOKS = LonelyHooks
    DEVICE_HOOK = "befriend"

class Disk:
    contract = 1
    SCHEMA = {
        Required("source", description="The image."): units.path,
        Optional("placement", default="local"): In(["shared", "mirror", "local"]),
        "parts": [{Required("name"): str, "size": units.size}],
        "count": All(int, Range(0, 8)),
        "limit": units.rate,
        "wait": units.duration,
        "ratio": float,
        "cache": Any("none", int),
        "sync": bool,
        "mac": All(str, Match("^[0-9a-f:]{17}$")),
    }
    HOST_SCHEMA = {"directories": {str: units.path}}

    def __init__(self, id, options): pass

    @hookimpl
    def attach(self, domain, machine): return True

class Card(Disk):
    SCHEMA = {Optional("beep", default=False): bool}
    CLOCK = TimerClock.GUEST
    ACTIONS = frozenset({Action.RESET, Action.DUMP, Action.NOTIFY})

    @staticmethod
    def misfits(definition, options):
        if options["beep"] and definition.options.get("machine") == "q35":
            return [Misfit(("beep",), "a q35 has no speaker", "machine: pc, or beep: false")]
        return []

class Elsewhere:
    contract = 1
    SCHEMA = {"key": str}
    def __init__(self, id, options): pass
    @hookimpl(optionalhook=True)
    def atach(self, domain, machine): return True

class Lost(Elsewhere):
    CLOCK = TimerClock.HOST
    atach = None

class Odd(Disk):
    @classmethod
    def misfits(cls, definition, options):
        return [1] if definition.vcpus == 2 else {}[definition.vcpus]

    SCHEMA = {
        "raises": lambda value: {}[value],
        "module": lambda value: units,
        "infinite": lambda value: float("inf"),
    }
"""
)

GOOD = """\
domain: web1
engine: tiny
memory: 256MiB
vcpus: 2
boot: {kernel: guest/vmlinuz, initrd: /guest/initrd.gz, cmdline: console=ttyS0}
watchdog:
  driver: card
  timeout: 30s
  action: reset
  escalate: {after: 3, within: 10min, action: pause}
devices:
  root:
    {driver: disk, source: images/web1.qcow2, placement: mirror,
     timeouts: {prepare: 10min, sync: 500ms}}
  data: {driver: disk, source: b, parts: [{name: a, size: 1KiB}], mac: "52:54:00:12:34:56"}
migration: {downtime_limit: 300ms, bandwidth: 10GiB/s, timeout: 2min}
"""

HOST = """\
host: alpha
state: state
peers: {beta: {config: beta.yaml}}
drivers: {disk: {directories: {/a: b}}, tiny: {binary: /usr/bin/tiny}}
"""


def put_drivers(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install the drivers for one test."""
    install(
        directory, monkeypatch, SOURCE,
        engine_tiny="Tiny", engine_booting="Booting", engine_lonely="Lonely",
        watchdog_card="Card", watchdog_lost="Lost",
        device_disk="Disk", device_elsewhere="Elsewhere", device_odd="Odd",
    )  # fmt: skip

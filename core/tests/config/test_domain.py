"""A domain file becomes its definition, or all of its problems."""

import dataclasses
import json
import uuid
from pathlib import Path

import pytest

from domwarden.config import load_domain
from domwarden.contract import (
    Action,
    ConfigError,
    Definition,
    DeviceEntry,
    Escalation,
    MigrationSettings,
    WatchdogEntry,
)

from .drivers import GOOD

MINIMAL = "domain: a\nengine: tiny\nmemory: 1MiB\n"


@pytest.fixture
def problems(tmp_path: Path):
    def read(text: str) -> list[str]:
        file = tmp_path / "f.yaml"
        file.write_text(text)
        try:
            load_domain(file)
        except ConfigError as error:
            return [str(problem).removeprefix(str(tmp_path) + "/") for problem in error.problems]
        return []

    return read


def read(directory: Path, text: str) -> Definition:
    file = directory / "f.yaml"
    file.write_text(text)
    return load_domain(file)


def test_a_whole_file_becomes_its_definition(tmp_path):
    assert read(tmp_path, GOOD) == Definition(
        name="web1",
        uuid=str(uuid.uuid5(uuid.NAMESPACE_URL, "domwarden:web1")),
        engine="tiny",
        memory_bytes=256 * 1024**2,
        vcpus=2,
        boot={
            "kernel": f"{tmp_path}/guest/vmlinuz",
            "initrd": "/guest/initrd.gz",
            "cmdline": "console=ttyS0",
        },
        watchdog=WatchdogEntry(
            "card", 30.0, Action.RESET, Escalation(3, 600.0, Action.PAUSE), {"beep": False}
        ),
        devices=(
            DeviceEntry(
                "root", "disk", {"source": f"{tmp_path}/images/web1.qcow2", "placement": "mirror"},
                timeouts={"prepare": 600.0, "sync": 0.5},
            ),
            DeviceEntry("data", "disk", {
                "source": f"{tmp_path}/b", "placement": "local",
                "parts": [{"name": "a", "size": 1024}], "mac": "52:54:00:12:34:56",
            }),
        ),
        migration=MigrationSettings(0.3, 10 * 1024**3, 120.0),
        options={"machine": "pc"},
    )  # fmt: skip


def test_the_definition_is_plain_json(tmp_path):
    definition = read(tmp_path, GOOD)
    again = Definition.from_json(json.loads(json.dumps(definition.as_json())))
    assert again == definition


def test_what_is_left_out_has_the_contracts_defaults(tmp_path):
    definition = read(tmp_path, MINIMAL + "watchdog: {driver: card}\n")
    assert definition.vcpus == Definition.vcpus
    assert definition.migration == MigrationSettings()
    assert definition.watchdog == dataclasses.replace(
        WatchdogEntry("card"), options={"beep": False}
    )


def test_a_uuid_of_the_file_is_kept(tmp_path):
    text = MINIMAL + "uuid: 0A10B8D7-63A3-4A3E-9E0B-7B3A0F0C0D0E\n"
    assert read(tmp_path, text).uuid == "0a10b8d7-63a3-4a3e-9e0b-7b3a0f0c0d0e"


def test_an_engine_may_own_the_keys_of_boot(tmp_path, problems):
    text = MINIMAL.replace("tiny", "booting")
    definition = read(tmp_path, text + "boot: {program: counter}\n")
    assert definition.boot == {"program": "counter"}
    assert definition.options == {}
    [line] = problems(text + "boot: {kernel: x, program: counter}\n")
    assert line == "f.yaml:4:8: boot.kernel: unknown key 'kernel': valid: program"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        # names
        ("domain: 12", "1:9: domain: wrong value '12': expected text; quote it: '12'"),
        ("domain: a/b", "1:9: domain: wrong value 'a/b': expected a letter, then letters, digits,"),
        ('domain: "a\\n"', "1:9: domain: wrong value 'a\\n': expected a letter"),
        ("domain: ../a", "1:9: domain: wrong value '../a': expected a letter"),
        (f"domain: {'a' * 49}", "at most 48 in all"),
        ("uuid: abc", "4:7: uuid: wrong value 'abc': expected a UUID"),
        # numbers
        ("memory: 256MB", "3:9: memory: wrong value '256MB': expected a size such as 256MiB"),
        ("memory: 256", "3:9: memory: wrong value '256': expected a size such as 256MiB"),
        ("memory: 1KiB", "3:9: memory: wrong value '1KiB': expected at least 1MiB"),
        ("memory:", "3:8: memory: has no value: expected a size such as 256MiB"),
        ("memory: [1MiB]", "3:9: memory: wrong value, a list: expected a size such as 256MiB"),
        ("vcpus: 0", "4:8: vcpus: wrong value '0': expected a whole number from 1 to 4096"),
        ("vcpus: true", "4:8: vcpus: wrong value 'true': expected a whole number"),
        ("vcpus: 0o7", "4:8: vcpus: wrong value '0o7': expected a whole number"),
        # engine
        ("engine: tinny", "no engine driver 'tinny' is installed: did you mean 'tiny'?"),
        ("engine: 5", "2:9: engine: wrong value '5': expected text; quote it: '5'"),
        ("machine: q53", "4:10: machine: wrong value 'q53': did you mean 'q35'? valid: pc, q35"),
        ("machin: pc", "4:1: machin: unknown key 'machin': did you mean 'machine'? valid: boot,"),
        # sections
        ("boot: no", "4:7: boot: wrong value 'no': expected a mapping"),
        ("devices:", "4:9: devices: has no value: expected a mapping"),
        ("devices: [a]", "4:10: devices: wrong value, a list: expected a mapping"),
        ("migration: {timeout: 0s}", "4:22: migration.timeout: wrong value '0s': expected more"),
        ("migration: {timeout: 12:30:45}", "'12:30:45': expected a duration such as 30s"),
        ("migration: {bandwidth: 1GiB}", "4:24: migration.bandwidth: wrong value '1GiB': exp"),
        ("migration: {bandwith: 1GiB/s}", "unknown key 'bandwith': did you mean 'bandwidth'?"),
        # watchdog
        ("watchdog: {timeout: 30s}", "4:1: watchdog: missing key 'driver': The watchdog's driver"),
        ("watchdog: {driver: kard}", "4:20: watchdog.driver: no watchdog driver 'kard'"),
        ("watchdog: {driver: disk}", "it is the name of a driver of another kind, device"),
        ("watchdog: {driver: lost}", "4:20: watchdog.driver: engine 'tiny' does not know watchdog"),
        ("watchdog: {driver: card, action: rest}", "did you mean 'reset'? valid: reset, poweroff,"),
        ("watchdog: {driver: card, action: dump}",
         "4:34: watchdog.action: engine 'tiny' cannot do action 'dump': it can: reset, pause,"),
        ("watchdog: {driver: card, action: pause}",
         "watchdog.action: watchdog 'card' cannot do action 'pause': it can: reset, dump, notify"),
        ("watchdog: {driver: card, escalate: {after: 1, within: 1s, action: nmi}}",
         "4:67: watchdog.escalate.action: engine 'tiny' cannot do action 'nmi'"),
        ("watchdog: {driver: card, escalate: {after: 0, within: 1s, action: reset}}",
         "4:44: watchdog.escalate.after: wrong value '0': expected a whole number from 1 to 1000"),
        ("watchdog: {driver: card, escalate: {within: 1s, action: reset}}",
         "4:26: watchdog.escalate: missing key 'after': So many expiries"),
        ("watchdog: {driver: card, beep: yes}", "4:32: watchdog.beep: wrong value 'yes': exp"),
        ("watchdog: {driver: card, bep: true}", "did you mean 'beep'? valid: action, beep,"),
        # devices
        ("devices: {d: {}}", "4:11: devices.d: missing key 'driver': The device's driver"),
        ("devices: {d: {driver: disk}}", "4:11: devices.d: missing key 'source': The image."),
        ("devices: {d: }", "devices.d: has no value: expected a mapping"),
        ("devices: {d: {driver: dsk}}", "4:23: devices.d.driver: no device driver 'dsk' is"),
        ("devices: {d: {driver: elsewhere}}", "2.5 has a hook 'atach'; the engine's hook"),
        ("devices: {d: {driver: disk, source: a, timeouts: {finsh: 3s}}}",
         "4:51: devices.d.timeouts.finsh: unknown key 'finsh': did you mean 'finish'? valid: close,"
         " finish, open, prepare, recover, start, sync, test"),
        ("devices: {d: {driver: disk, source: a, timeouts: {start: 3}}}",
         "4:58: devices.d.timeouts.start: wrong value '3': expected a duration such as 30s"),
        ("devices: {d: {driver: disk, source: a, timeouts: {start: 0s}}}",
         "4:58: devices.d.timeouts.start: wrong value '0s': expected more than nothing"),
        ("devices: {d: {driver: disk, source: a, timeouts: 3s}}",
         "4:50: devices.d.timeouts: wrong value '3s': expected a mapping"),
        ("devices: {watchdog: {driver: disk, source: a}}",
         "4:11: devices.watchdog: 'watchdog' is reserved for the domain's watchdog"),
        ("devices: {a/b: {driver: disk, source: a}}", "4:11: devices.a/b: is no id for a device"),
        (f"devices: {{{'d' * 25}: {{driver: disk, source: a}}}}", "at most 24 in all"),
        ("devices: {d: {driver: disk, source: a, ratio: x}}", "'x': expected a number"),
        ("devices: {d: {driver: disk, source: a, cache: no}}", "'no': expected none or a whole"),
        ("devices: {d: {driver: disk, source: a, sync: no}}", "'no': expected true or false"),
        ("devices: {d: {driver: disk, source: a, mac: 1}}", "expected text; quote it: '1'"),
        ("devices: {d: {driver: odd, raises: 1}}",
         "4:11: devices.d: cannot be checked: device driver 'odd' (acme-cards 2.5) raised KeyError"
         ": 1: this is a bug of that distribution"),
        ("devices: {d: {driver: odd, module: 1}}", "makes module of its options, which is no"),
        ("devices: {d: {driver: odd, infinite: 1}}", "makes inf of its options, which is no"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_located_line_with_a_hint(problems, lines, expected):
    key = lines.split(":")[0]
    kept = [line for line in MINIMAL.splitlines() if not line.startswith(f"{key}:")]
    place = [line.split(":")[0] for line in MINIMAL.splitlines()]
    kept.insert(place.index(key) if key in place else 3, lines)
    [line] = problems("\n".join(kept) + "\n")
    assert expected in line
    assert line.startswith("f.yaml:")


def test_all_problems_of_a_file_are_told_at_once(problems):
    found = problems(
        """\
domain: web1
domain: web2
engine: tiny
memory: 256MB
machine: q53
watchdog: {driver: card, timeout: 30, escalate: {after: 0, within: 1m}}
devices:
  root: {driver: disk, sorce: a, parts: [{name: 1}, {name: x, size: 1}, {nam: y}], count: 9}
  eth0: {driver: nett}
  usb0: {driver: elsewhere, key: [], kex: 1}
migration: {downtime_limit: 1, bandwidth: 2, timeout: 3}
"""
    )
    assert [line.removeprefix("f.yaml:").split(": ")[:2] for line in found] == [
        ["2:1", "domain"],
        ["4:9", "memory"],
        ["5:10", "machine"],
        ["6:35", "watchdog.timeout"],
        ["6:39", "watchdog.escalate"],
        ["6:57", "watchdog.escalate.after"],
        ["6:68", "watchdog.escalate.within"],
        ["8:3", "devices.root"],
        ["8:24", "devices.root.sorce"],
        ["8:49", "devices.root.parts[0].name"],
        ["8:69", "devices.root.parts[1].size"],
        ["8:73", "devices.root.parts[2]"],
        ["8:74", "devices.root.parts[2].nam"],
        ["8:91", "devices.root.count"],
        ["9:18", "devices.eth0.driver"],
        ["10:18", "devices.usb0.driver"],
        ["10:34", "devices.usb0.key"],
        ["10:38", "devices.usb0.kex"],
        ["11:29", "migration.downtime_limit"],
        ["11:43", "migration.bandwidth"],
        ["11:55", "migration.timeout"],
    ]


def test_without_its_engine_a_file_is_checked_as_far_as_possible(problems):
    found = problems("domain: a\nengine: tinny\nmemory: 1\nvcpu: 2\nsomething: 3\n")
    assert [line.split(": ")[1] for line in found] == ["engine", "memory", "vcpu"]


def test_missing_keys_of_the_domain_say_what_they_are(problems):
    assert problems("engine: tiny\n") == [
        "f.yaml:1:1: missing key 'domain': The domain's name, unique among its hosts.",
        "f.yaml:1:1: missing key 'memory': The guest's memory, such as 256MiB.",
    ]


def test_what_does_not_fit_together_is_told_where_it_stands(problems):
    """A driver's own rules over the whole file come once each part is well written."""
    whole = MINIMAL + "machine: q35\nvcpus: 8\nwatchdog: {driver: card, beep: true}\n"
    assert problems(whole) == [
        "f.yaml:5:8: vcpus: a q35 has 4, not 8: machine: pc",
        "f.yaml:6:32: watchdog.beep: a q35 has no speaker: machine: pc, or beep: false",
    ]
    assert problems(MINIMAL + "machine: q35\nvcpus: 4\nwatchdog: {driver: card}\n") == []


def test_what_a_file_leaves_to_its_default_does_not_fit_at_its_section(problems):
    """There is no value to point to."""
    (problem,) = problems(MINIMAL + "vcpus: 64\nwatchdog: {driver: card}\n")
    assert problem == "f.yaml:1:1: machine: a pc of 64 has no watchdog"


@pytest.mark.parametrize(
    ("vcpus", "words"),
    [(1, "misfits raised KeyError"), (2, "misfits returned something else than Misfit objects")],
)
def test_a_driver_that_cannot_say_what_fits_is_named(problems, vcpus, words):
    """Its bug is told with its version, at its entry."""
    (problem,) = problems(f"{MINIMAL}vcpus: {vcpus}\ndevices:\n  d: {{driver: odd}}\n")
    assert problem.startswith("f.yaml:6:3: devices.d: acme-cards 2.5: device driver 'odd': ")
    assert words in problem
    assert problem.endswith("this is a bug of that distribution")

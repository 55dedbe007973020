"""A guard file becomes what the guard is to do, or all of its problems."""

from pathlib import Path

import pytest

from domwarden.config import (
    CheckEntry,
    CheckKind,
    GuardFile,
    HostWatchdogEntry,
    Repair,
    check_files,
    load_guard,
)
from domwarden.contract import ConfigError

WHOLE = """\
guard:
  interval: 5s
  timeout: 40s
  hand_over: 5min
  state: run
  lock_memory: false
  priority: 0
  watchdogs:
    linux: {timeout: 20s, device: watchdog1, required: true}
  checks:
    disk: {kind: command, run: [check, -q], timeout: 3s, every: 1min, retries: 0}
    sshd: {kind: pid_file, path: /run/sshd.pid}
    load: {kind: load, five_minutes: 24}
    memory: {kind: memory, free: 64MiB}
    warden: {kind: warden, host_file: host.yaml}
  repair: {run: [mend], timeout: 30s, attempts: 2}
"""


def test_a_whole_file_becomes_settings(tmp_path: Path):
    file = tmp_path / "guard.yaml"
    file.write_text(WHOLE)
    options = {"device": str(tmp_path / "watchdog1")}
    host = str(tmp_path / "host.yaml")
    assert load_guard(file) == GuardFile(
        5.0,
        40,
        300,
        tmp_path / "run",
        False,
        0,
        (HostWatchdogEntry("linux", 20, True, options),),
        (
            CheckEntry(
                "disk", CheckKind.COMMAND, 60.0, 0, {"run": ["check", "-q"], "timeout": 3.0}
            ),
            CheckEntry("sshd", CheckKind.PID_FILE, 5.0, 2, {"path": "/run/sshd.pid"}),
            CheckEntry("load", CheckKind.LOAD, 5.0, 2, {"five_minutes": 24.0}),
            CheckEntry("memory", CheckKind.MEMORY, 5.0, 2, {"free": 64 * 2**20}),
            CheckEntry("warden", CheckKind.WARDEN, 5.0, 2, {"host_file": host, "timeout": 30.0}),
        ),
        Repair(("mend",), 30.0, 2),
    )
    assert check_files([file]) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("guard:", "1:1: guard: has no value: expected a mapping"),
        ("guard: {}\nhots: a", "2:1: hots: unknown key 'hots': a guard file has `guard`"),
        ("guard: {intervall: 1s}", "1:9: guard.intervall: unknown key 'intervall': did you mean"),
        ("guard: {timeout: 2500ms}", "1:18: guard.timeout: wrong value '2500ms': expected whole s"),
        ("guard: {timeout: 1s}", "1:18: guard.timeout: wrong value '1s': expected at least 2s"),
        ("guard: {interval: 31s}", "1:8: guard.timeout: 60 s are not twice the interval, 31 s"),
        ("guard: {watchdogs: {}}", "1:9: guard.watchdogs: names none: remove it for all"),
        (
            "guard: {watchdogs: {linucks: {}}}",
            "1:21: guard.watchdogs.linucks: no host watchdog driver 'linucks' is installed: did",
        ),
        (
            "guard: {watchdogs: {linux: {timeout: 19s}}}",
            "1:38: guard.watchdogs.linux.timeout: 19 s are not twice the interval, 10 s",
        ),
        (
            "guard: {watchdogs: {linux: {path: a}}}",
            "1:29: guard.watchdogs.linux.path: unknown key 'path': valid: device, required, t",
        ),
        ("guard: {checks: {a: {}}}", "1:18: guard.checks.a: missing key 'kind': What is looked at"),
        (
            "guard: {checks: {a: {kind: cpu}}}",
            "1:28: guard.checks.a.kind: wrong value 'cpu': valid",
        ),
        ("guard: {checks: {a: {kind: load}}}", "1:18: guard.checks.a: has no limit: write one_min"),
        (
            "guard: {checks: {a: {kind: command, run: []}}}",
            "1:42: guard.checks.a.run: wrong value, a list: expected the program and its arguments",
        ),
        (
            "guard: {checks: {a: {kind: command, run: sync; reboot}}}",
            "1:42: guard.checks.a.run: wrong value 'sync; reboot': expected",
        ),
        (
            "guard: {checks: {a: {kind: memory, free: 1MiB, path: /}}}",
            "1:48: guard.checks.a.path: unknown key 'path': valid: every, free, kind, retries",
        ),
        ("guard: {repair: {}}", "1:17: guard.repair: missing key 'run': The program and its"),
    ],
)
def test_each_mistake_is_named_with_its_place(tmp_path: Path, text: str, expected: str):
    file = tmp_path / "guard.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_guard(file)
    assert str(caught.value).startswith(f"{file}:{expected}")
    assert check_files([file]) == list(caught.value.problems)


def test_all_mistakes_are_named_at_once(tmp_path: Path):
    file = tmp_path / "guard.yaml"
    file.write_text(
        "guard:\n  interval: 1\n  checks: {a: {kind: x}, b: {kind: memory}}\n  repair: {run: x}\n"
    )
    lines = [problem.line for problem in check_files([file])]
    assert lines == [2, 3, 3, 4]

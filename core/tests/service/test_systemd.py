"""Under systemd a restart of the service ends nothing but the service."""

from __future__ import annotations

import configparser
import subprocess
import sys
from pathlib import Path

import pytest
from workspace import ROOT

from domwarden.contract import in_scope
from domwarden.testing.require import program

UNITS = ROOT / "packaging/systemd"


def test_the_unit_ends_only_its_own_process() -> None:
    """And systemd is told when it is ready, and hears that it lives."""
    unit = configparser.ConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment, method-assign]  # as the library wants it
    unit.read(UNITS / "domwarden.service")
    wanted = {"Type": "notify", "KillMode": "process", "OOMPolicy": "continue"}
    found = dict(unit["Service"])
    assert {key: found[key] for key in wanted} == wanted
    assert "DOMWARDEN_SCOPES=systemd" in found["Environment"].split()
    assert int(found["WatchdogSec"]) > 0
    assert unit["Unit"]["StartLimitIntervalSec"] == "0"


def test_systemd_understands_the_units(tmp_path: Path) -> None:
    """No unknown key, no wrong value."""
    analyze = program("systemd", "systemd-analyze")
    paths = []
    for unit in sorted(UNITS.iterdir()):
        paths.append(tmp_path / unit.name)
        paths[-1].write_text(unit.read_text().replace("/usr/bin/domwarden", sys.executable))
    ran = subprocess.run(
        [analyze, "verify", "--man=no", *map(str, paths)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert [line for line in ran.stderr.splitlines() if "domwarden" in line] == []


def test_without_systemd_nothing_is_different(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOMWARDEN_SCOPES", raising=False)
    assert in_scope(("program", "-x"), "something") == ["program", "-x"]


def test_under_systemd_it_gets_a_scope_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """tests/systemd tries it on the real one."""
    monkeypatch.setenv("DOMWARDEN_SCOPES", "systemd")
    *scope, dashes, word = in_scope(("program",), "something")
    assert scope[:2] == ["systemd-run", "--scope"]
    assert "--slice=domwarden.slice" in scope
    assert (dashes, word) == ("--", "program")

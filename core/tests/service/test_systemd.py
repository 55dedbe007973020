"""Under systemd a restart of the service ends nothing but the service."""

from __future__ import annotations

import configparser
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from workspace import ROOT

from domwarden.contract import in_scope
from domwarden.testing.require import program

from .test_process import directory, service, start  # noqa: F401 - a fixture

UNITS = ROOT / "packaging/systemd"

#: Writes its words down, and becomes the program, as the real one does.
SYSTEMD_RUN = """#!{python}
import os, sys
with open({told!r}, "a") as told:
    print(*sys.argv[1:], file=told)
rest = sys.argv[sys.argv.index("--") + 1:]
os.execvp(rest[0], rest)
"""


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


async def test_what_outlives_the_service_gets_a_scope_of_its_own(
    directory: Path,  # noqa: F811 - the fixture
    tmp_path: Path,
) -> None:
    """Hypervisor and driver; each is the same process as without one."""
    told = tmp_path / "told"
    bin_directory = tmp_path / "bin"
    bin_directory.mkdir()
    fake = bin_directory / "systemd-run"
    fake.write_text(SYSTEMD_RUN.format(python=sys.executable, told=str(told)))
    fake.chmod(0o755)
    path = f"{bin_directory}{os.pathsep}{os.environ['PATH']}"
    async with service(directory, PATH=path, DOMWARDEN_SCOPES="systemd") as running:
        await start(running)
        begun = await running.client.post("/v1/migrations", {"domain": "web1", "to": "b"})
        end = await running.client.end_of(begun.data["id"])
        assert end["outcome"] == "arrived"
        running.end(signal.SIGTERM)
    words = told.read_text()
    for module in ("embedded.process", "migration.driver"):
        (first, *_) = [line for line in words.splitlines() if f"-m domwarden.{module}" in line]
        assert first.startswith("--scope --quiet --collect --slice=domwarden.slice --description=")

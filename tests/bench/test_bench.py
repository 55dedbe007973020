"""The benches run and say what they should; no test judges a duration."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from domwarden.testing.require import absent

ROOT = Path(__file__).parents[2]


def bench(*names, timeout_seconds=480):
    only = [word for name in names for word in ("--only", name)]
    done = subprocess.run(
        [sys.executable, str(ROOT / "bench"), "--quick", "--json", *only],
        capture_output=True,
        text=True,
        timeout=timeout_seconds,
    )
    assert done.returncode == 0, done.stderr
    return {found["name"]: found for found in json.loads(done.stdout)["benches"]}, done.stderr


def check(found):
    assert found["figures"]
    for figure in found["figures"]:
        spread = figure["spread"]
        assert 0 < spread["best"] <= spread["low"] <= spread["median"] <= spread["high"]
    assert any(figure["ratio"] for figure in found["figures"])


@pytest.mark.live
def test_each_bench_measures_something_beside_a_peer():
    found, _ = bench("cli", "dispatch", "check", "timers", "service", "evacuate")
    assert list(found) == ["cli", "dispatch", "check", "timers", "service", "evacuate"]
    for one in found.values():
        check(one)
    assert found["cli"]["goals"]
    assert found["timers"]["goals"]
    assert found["evacuate"]["goals"]


@pytest.mark.live
def test_a_real_guest_is_moved_by_domwarden_and_by_bare_qmp():
    found, said = bench("migrate")
    if "migrate" not in found:
        absent("qemu", said)
    check(found["migrate"])
    assert len(found["migrate"]["goals"]) == 6


@pytest.mark.live
@pytest.mark.xen
@pytest.mark.slow
@pytest.mark.time_limit(3600)
def test_a_real_guest_is_moved_by_domwarden_and_by_xl():
    found, said = bench("xl_migrate", timeout_seconds=3500)
    if "xl_migrate" not in found:
        absent("xen", said)
    check(found["xl_migrate"])
    assert len(found["xl_migrate"]["goals"]) == 3

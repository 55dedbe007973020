"""The kinds of checks as a file names them."""

import os
from pathlib import Path

import pytest

from domwarden.config import CheckEntry, CheckKind
from domwarden.guard.checks import Check


def outcome(kind: CheckKind, **options):
    """Begin a check and follow it to its end, however long its command takes."""
    check = Check(CheckEntry("a", kind, 10.0, 0, options))
    found = check.step(0.0)
    while found is None:
        check._running._process.wait(timeout=60)
        found = check.step(0.0)
    assert check.step(9.9) is None  # not due
    return found


def test_a_warden_answers_for_its_host_file(tmp_path: Path):
    """`domwarden status` of the same Python; a host file that is wrong is a warden that fails."""
    file = tmp_path / "host.yaml"
    file.write_text("host: a\nstate: state\n")
    assert outcome(CheckKind.WARDEN, host_file=str(file), timeout=60.0).ok
    file.write_text("hots: a\n")
    failed = outcome(CheckKind.WARDEN, host_file=str(file), timeout=60.0)
    assert not failed.ok
    assert "missing key 'host'" in failed.words or "unknown key 'hots'" in failed.words


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (
            CheckKind.COMMAND,
            {"run": ["true"], "timeout": 10.0},
            {"run": ["false"], "timeout": 10.0},
        ),
        (CheckKind.PID_FILE, {"path": "good"}, {"path": "bad"}),
        (CheckKind.LOAD, {"one_minute": 1e9}, {"one_minute": -1.0}),
        (CheckKind.MEMORY, {"free": 1}, {"free": 2**62}),
    ],
)
def test_each_kind_passes_and_fails(tmp_path: Path, monkeypatch, kind, good, bad):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good").write_text(str(os.getpid()))
    assert outcome(kind, **good).ok
    failed = outcome(kind, **bad)
    assert not failed.ok
    assert failed.words

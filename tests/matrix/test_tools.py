"""The workspace's own tools notice what they are there to notice."""

import subprocess
import sys
from pathlib import Path

import pytest
import workspace
from workspace import ROOT

LIMIT_SECONDS = 60

REPORT = '<testsuites><testsuite tests="{}" failures="{}" errors="{}" skipped="{}"/></testsuites>'

ASYNC_TESTS = """
import asyncio
import pytest

@pytest.fixture
def number():
    return 4

async def test_passes(number):
    await asyncio.sleep(0)
    assert number == 4

async def test_fails():
    assert await asyncio.sleep(0, 1) == 2

@pytest.mark.time_limit(0.01)
async def test_hangs():
    await asyncio.Event().wait()
"""


def summarize(directory: Path) -> subprocess.CompletedProcess[str]:
    """Run the summary over the reports of a directory."""
    command = [sys.executable, str(ROOT / "tools/summary.py"), str(directory)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False
    )


def write_reports(directory: Path) -> list[Path]:
    """Write a good report for each environment that owes one."""
    first = summarize(directory).stdout.splitlines()[:-1]
    reports = [directory / f"{line.split()[0]}.xml" for line in first]
    for report in reports:
        report.write_text(REPORT.format(10, 0, 0, 1))
    return reports


def test_summary_adds_up_the_environments(tmp_path: Path) -> None:
    """The closing line counts every test of every environment."""
    count = len(write_reports(tmp_path))
    done = summarize(tmp_path)
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == f"tests: {9 * count} passed, 0 failed, {count} skipped"


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(REPORT.format(10, 1, 0, 0), id="a failed test"),
        pytest.param(REPORT.format(10, 0, 1, 0), id="an error"),
        pytest.param(REPORT.format(0, 0, 0, 0), id="no test"),
        pytest.param(REPORT.format(3, 0, 0, 3), id="all skipped"),
        pytest.param(None, id="no report"),
    ],
)
def test_summary_fails_for_one_bad_environment(tmp_path: Path, damage: str | None) -> None:
    """One environment that failed, ran nothing or never reported fails the whole matrix."""
    report = write_reports(tmp_path)[-1]
    if damage is None:
        report.unlink()
    else:
        report.write_text(damage)
    done = summarize(tmp_path)
    assert done.returncode == 1
    assert " 1 failed" in done.stdout.splitlines()[-1]


def test_coroutine_tests_run_fail_and_are_bounded(tmp_path: Path) -> None:
    """An async test passes, fails or runs out of time for real."""
    (tmp_path / "conftest.py").write_text((ROOT / "conftest.py").read_text())
    (tmp_path / "test_async.py").write_text(ASYNC_TESTS)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", "."]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False
    )
    assert "2 failed, 1 passed" in done.stdout
    assert "TimeoutError" in done.stdout


def test_dependency_without_a_lower_bound_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that any version would satisfy cannot be tested with its oldest one."""
    loose = workspace.Distribution("core", "domwarden", "0", ("rich",), {})
    monkeypatch.setattr(workspace, "distributions", lambda: [loose])
    with pytest.raises(ValueError, match="'rich' has no lower bound"):
        workspace.lower_bounds()


def test_higher_of_two_lower_bounds_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Versions are compared as numbers: 1.10 is newer than 1.9."""
    one = workspace.Distribution("core", "domwarden", "0", ("rich>=1.9",), {})
    other = workspace.Distribution("plugins/x", "domwarden-x", "0", ("rich>=1.10",), {})
    monkeypatch.setattr(workspace, "distributions", lambda: [one, other])
    assert workspace.lower_bounds() == {"rich": "1.10"}

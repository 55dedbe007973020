"""Checks that look by themselves."""

import os
from pathlib import Path

import pytest

from domwarden.guard.looks import daemon_runs, load_is_below, memory_is_free


def test_a_running_daemon_passes(tmp_path: Path):
    file = tmp_path / "pid"
    file.write_text(f"{os.getpid()}\n")
    assert daemon_runs(file).ok


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("4194304\n", "no process 4194304"),  # one more than any Linux gives
        ("99999999999999999999", "no process"),
        ("sshd", "holds no number"),
        ("", "holds no number"),
        ("0", "0 is no number of a process"),
        ("-1", "-1 is no number of a process"),
    ],
)
def test_a_daemon_that_is_gone_fails(tmp_path: Path, text: str, words: str):
    file = tmp_path / "pid"
    file.write_text(text)
    outcome = daemon_runs(file)
    assert not outcome.ok
    assert words in outcome.words


def test_a_missing_pid_file_fails(tmp_path: Path):
    assert daemon_runs(tmp_path / "pid").words.endswith("No such file or directory")


def test_load_is_held_against_each_limit(tmp_path: Path):
    (tmp_path / "loadavg").write_text("24.50 18.00 3.25 2/345 6789\n")
    assert load_is_below({"one_minute": 24.5, "five_minutes": 18.0}, tmp_path).ok
    outcome = load_is_below({"one_minute": 24.0, "fifteen_minutes": 3.0}, tmp_path)
    assert outcome.words == "one minute: 24.5, at most 24; fifteen minutes: 3.25, at most 3"


def test_memory_is_what_the_kernel_calls_available(tmp_path: Path):
    (tmp_path / "meminfo").write_text(
        "MemTotal: 1000000 kB\nMemFree: 1 kB\nMemAvailable: 65536 kB\n"
    )
    assert memory_is_free(64 * 2**20, tmp_path).ok
    outcome = memory_is_free(65 * 2**20, tmp_path)
    assert outcome.words == "64 MiB are available, at least 65 wanted"


def test_what_cannot_be_read_fails(tmp_path: Path):
    """A check that cannot look must not pass."""
    assert not load_is_below({"one_minute": 1000.0}, tmp_path).ok
    assert not memory_is_free(1, tmp_path).ok
    (tmp_path / "meminfo").write_text("MemTotal: 1 kB\n")
    assert not memory_is_free(1, tmp_path).ok


def test_this_machine_can_be_looked_at():
    assert load_is_below({"one_minute": 1e9}).ok
    assert memory_is_free(1).ok

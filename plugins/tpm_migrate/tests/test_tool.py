"""The external tool: how it is called, and how it fails."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import pytest

from domwarden.contract import End, PermanentError, Step
from domwarden.testing.sides import codes
from domwarden_tpm_migrate.options import ToolSettings
from domwarden_tpm_migrate.tool import arguments, call

from .helpers import Side, host


def settings(program: str, seconds: float = 10.0) -> ToolSettings:
    return ToolSettings((sys.executable, "-c", program), seconds)


def ends(pid: str) -> bool:
    """See a killed process go, or wait only to be counted."""
    stat = Path(f"/proc/{pid}/stat")
    for _ in range(500):
        try:
            if stat.read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.01)
    return False


def test_the_arguments_are_xends(tmp_path: Path) -> None:
    """Every word is one argument, so no name can become a command."""
    side = Side(End.SOURCE, host(tmp_path, "a"), {"move": "tool"})
    words = ["-type", "vtpm", "-step", "2", "-host", "other", "-domname", "web1"]
    assert arguments(side.view, Step.START) == words
    assert arguments(side.view, Step.START, recover=True) == [*words, "-recover"]


async def test_a_quiet_success_is_a_success() -> None:
    """Words that only contain the fatal one are not it."""
    await call(settings("print('0 Errors, TerrorError')"), ["-step", "0"])


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("print('fine'); print('Error: no peer')", "saying: Error: no peer"),
        ("import sys; sys.exit('cannot')", "status 1, saying: cannot"),
        ("import os; os.kill(os.getpid(), 9)", "status -9"),
    ],
    ids=["word", "status", "signal"],
)
async def test_a_failure_says_what_the_tool_said(program: str, said: str) -> None:
    """A status other than 0 fails, and so does the word Error with status 0."""
    with pytest.raises(PermanentError, match=said):
        await call(settings(program), [])


async def test_a_tool_that_hangs_is_ended_with_its_children(tmp_path: Path) -> None:
    """A child that holds the output does not hold the move."""
    mark = tmp_path / "pid"
    child = f"import os, time; open({str(mark)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    program = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    began = time.monotonic()
    with pytest.raises(PermanentError, match=r"did not end in 1 s"):
        await call(settings(program, 1.0), [])
    assert time.monotonic() - began < 10
    assert mark.exists()
    assert await asyncio.to_thread(ends, mark.read_text())


async def test_a_child_that_keeps_the_output_is_ended_too() -> None:
    """The tool itself is gone: its call is not over as long as something of it may still speak."""
    program = "import subprocess; subprocess.Popen(['sleep', '60'])"
    with pytest.raises(PermanentError, match="did not end"):
        await call(settings(program, 0.5), [])


async def test_a_tool_that_is_not_there_is_one_clear_line(tmp_path: Path) -> None:
    """At TEST it is a refusal."""
    side = Side(End.SOURCE, host(tmp_path, "a", tool=["/nonexistent"]), {"move": "tool"})
    assert codes(await side.step(Step.TEST)) == ["tool-refused"]


async def test_a_chatty_tool_does_not_fill_the_memory() -> None:
    """Output beyond the first 64 KiB is read and dropped."""
    await call(settings("print('x' * 3_000_000)"), [])

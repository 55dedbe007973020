"""Commands that nobody waits for, as real processes."""

import os
import sys

from domwarden.guard.command import Running


def ended(running, now=0.0):
    """Wait for the process itself, then ask."""
    running._process.wait(timeout=20)
    return running.poll(now)


def test_status_zero_passes():
    assert ended(Running(["true"], 10, 0.0)).ok


def test_another_status_fails_with_the_last_line_it_said():
    script = "echo looking; echo 'disk: 3 bad blocks' >&2; exit 7"
    outcome = ended(Running(["sh", "-c", script], 10, 0.0))
    assert (outcome.ok, outcome.words) == (False, "status 7: disk: 3 bad blocks")


def test_a_signal_is_a_failure():
    outcome = ended(Running(["sh", "-c", "kill -9 $$"], 10, 0.0))
    assert outcome.words == "signal 9"


def test_a_program_that_is_not_there_is_a_failure():
    outcome = Running(["/nothing/here"], 10, 0.0).poll(0.0)
    assert outcome is not None
    assert outcome.words == "/nothing/here cannot be run: No such file or directory"


def test_a_hung_command_is_killed_with_all_that_it_started():
    reader, writer = os.pipe()
    script = f"import os, subprocess; subprocess.run(['sleep', '1000'], pass_fds=[{writer}])"
    os.set_inheritable(writer, True)
    running = Running([sys.executable, "-c", script], 5, 100.0)
    os.close(writer)
    assert running.poll(104.9) is None
    assert running.remains
    outcome = running.poll(105.0)
    assert outcome is not None
    assert (outcome.ok, outcome.words) == (False, "no end after 5 s")
    running._process.wait(timeout=20)
    assert not running.remains
    assert os.read(reader, 1) == b""  # nobody holds the other end
    os.close(reader)


def test_much_output_neither_blocks_nor_is_kept():
    script = "import sys; sys.stderr.write('x' * 1000000 + '\\nlast\\n'); sys.exit(1)"
    running = Running([sys.executable, "-c", script], 10, 0.0)
    while (outcome := running.poll(0.0)) is None:
        os.sched_yield()
    assert outcome.words == "status 1: last"
    assert len(running._said) <= 4096

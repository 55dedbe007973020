"""The guard as a process of its own: signals, its lock, what it says."""

import json
import os
import signal
import socket
import subprocess
import sys

import pytest

from domwarden.config import default_guard
from domwarden.contract import ConflictError
from domwarden.guard.daemon import _lock, run
from domwarden.guard.signals import heard

from .card import Card

SCRIPT = """
import sys, pathlib
from domwarden.config import load_guard
from domwarden.guard import daemon, linux, talk
from tests_card import Card
card = Card(pathlib.Path(sys.argv[2]), nowayout=True)
linux.LinuxWatchdog.__init__.__defaults__ = (card.ioctl,)
talk.log_to_stderr(as_json=False)
daemon.run(lambda: load_guard(pathlib.Path(sys.argv[1])))
print(card.timeout, len(card.kicks), flush=True)
"""

FILE = """\
guard:
  interval: {interval}
  timeout: 60s
  hand_over: 500s
  state: state
  lock_memory: false
  priority: 0
  watchdogs: {{linux: {{device: watchdog}}}}
"""


class Daemon:
    """A guard in a process, with a card in the same process; its systemd is this test."""

    def __init__(self, directory):
        self.file = directory / "guard.yaml"
        self.write("10s")
        (directory / "tests_card.py").write_text(
            (directory.__class__(__file__).parent / "card.py").read_text()
        )
        self.systemd = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.systemd.bind(str(directory / "notify"))
        self.systemd.settimeout(30)
        self.process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(self.file), str(directory)],
            env={**os.environ, "NOTIFY_SOCKET": str(directory / "notify"),
                 "PYTHONPATH": str(directory)},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )  # fmt: skip

    def write(self, interval):
        self.file.write_text(FILE.format(interval=interval))

    def told(self):
        return self.systemd.recv(1000).decode().splitlines()[0]

    def end(self, number):
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=30)
        return self.process.returncode, out, err

    def close(self):
        self.systemd.close()
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


@pytest.fixture
def daemon(tmp_path):
    made = Daemon(tmp_path)
    yield made
    made.close()


def test_term_hands_over_and_usr1_disarms(daemon, tmp_path):
    """TERM: the time-out of a shutdown; its lock keeps a second guard out until then."""
    assert daemon.told() == "READY=1"
    with pytest.raises(ConflictError, match="another guard holds"):
        _lock(tmp_path / "state")
    status, out, err = daemon.end(signal.SIGTERM)
    assert (status, out.split()[0]) == (0, "500")
    assert "SIGTERM: the watchdogs are handed over" in err
    assert daemon.told() == "STOPPING=1"
    os.close(_lock(tmp_path / "state"))


def test_usr1_disarms(daemon):
    assert daemon.told() == "READY=1"
    status, out, err = daemon.end(signal.SIGUSR1)
    assert (status, out.split()[0]) == (0, "60")
    assert "the watchdogs are disarmed" in err
    assert "cannot be stopped" in err  # this card may not be


def test_hup_reads_the_file_again_and_a_bad_one_changes_nothing(daemon):
    assert daemon.told() == "READY=1"
    daemon.write("55s")
    daemon.process.send_signal(signal.SIGHUP)
    assert [daemon.told(), daemon.told()] == ["RELOADING=1", "READY=1"]
    daemon.write("15s")
    daemon.process.send_signal(signal.SIGHUP)
    assert [daemon.told(), daemon.told()] == ["RELOADING=1", "READY=1"]
    status, _, err = daemon.end(signal.SIGTERM)
    assert status == 0
    assert "guard.yaml:3:12: guard.timeout: 60 s are not twice the interval, 55 s" in err
    assert err.count("the settings were read again") == 1


def test_wrong_files_are_one_line_each_and_arm_nothing(tmp_path):
    file = tmp_path / "guard.yaml"
    file.write_text("guard: {interval: 1}")
    ran = subprocess.run(
        [sys.executable, "-m", "domwarden", "guard", str(file)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ran.returncode == 1
    assert ran.stderr.startswith(f"{file}:1:19: guard.interval: wrong value '1': expected a dur")
    assert ran.stderr.count("\n") == 1


def test_log_lines_can_be_json(tmp_path):
    file = tmp_path / "guard.yaml"
    file.write_text(FILE.format(interval="10s"))
    ran = subprocess.run(
        [sys.executable, "-m", "domwarden", "guard", "--json", str(file)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    first, *rest = ran.stderr.splitlines()
    assert json.loads(first)["message"].startswith("watchdog linux is not used: ")
    assert ran.returncode == 1
    assert rest[0] == "domwarden: this machine has no watchdog that could be armed"


def test_an_exception_leaves_the_watchdog_counting(tmp_path, monkeypatch):
    """A bug in the guard is a reason to be reset, not one to be unguarded."""
    card = Card(tmp_path)
    file = tmp_path / "guard.yaml"
    file.write_text(FILE.format(interval="10s"))
    monkeypatch.setattr("domwarden.guard.linux.LinuxWatchdog.__init__.__defaults__", (card.ioctl,))

    def broken(_guard, _now):
        raise ZeroDivisionError

    monkeypatch.setattr("domwarden.guard.guard.Guard.step", broken)
    from domwarden.config import load_guard

    with pytest.raises(ZeroDivisionError):
        run(lambda: load_guard(file))
    assert card.armed


def test_signals_wait_until_they_are_asked_for():
    with heard() as signals:
        assert signals.wait(0) == []
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGUSR1)
        assert signals.wait(10) == [signal.SIGHUP, signal.SIGUSR1]
        assert signals.wait(0) == []


def test_without_a_file_everything_is_kicked_and_nothing_checked():
    made = default_guard()
    assert made.watchdogs is None
    assert made.checks == ()
    assert (made.interval_seconds, made.timeout_seconds, made.hand_over_seconds) == (10, 60, 300)

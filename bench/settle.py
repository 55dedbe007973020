"""From SIGKILL of a service and the driver of its migration to a settled domain."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .report import Report
from .sampling import interleaved
from .service import running

ROUNDS = 10
PATIENCE_SECONDS = 60.0
POLL_SECONDS = 0.005
#: Its pre-copy takes longer than anybody needs to kill who drives it.
FILE = """
domain: web1
memory: 2MiB
boot: {program: counter, period: 20ms, resident: 1MiB}
migration: {bandwidth: 8KiB/s, timeout: 10min}
"""


def run(*, quick: bool) -> Report:
    """Measure with a migration that is left half-way, and with none, in turn."""
    with _hosts() as service:
        samples = interleaved(
            {
                "settled": lambda: _settled_seconds(service),
                "answer": lambda: _answer_seconds(service),
            },
            1 if quick else ROUNDS,
        )
    report = Report("settle", "a service killed while it migrates a domain, and started again")
    peer = ("restart to first answer", samples["answer"])
    report.add("SIGKILL to a settled domain", "ms", samples["settled"], scale=1e3, peer=peer)
    report.add("SIGKILL to first answer, no move", "ms", samples["answer"], scale=1e3)
    report.notes.append("service, driver and watcher killed in pre-copy; restarted at once")
    return report


class _Service:
    """``domwarden serve`` of the source, which is killed and started again."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.socket = directory / "a.sock"
        self.command = [sys.executable, "-m", "domwarden", "serve", "-H", str(directory / "a.yaml")]

    def running(self) -> contextlib.AbstractContextManager[subprocess.Popen[bytes]]:
        """Run it until it answers, and then as long as the context lasts."""
        return running(self.command, self.socket)

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Return the data of a good answer; raises RuntimeError for another."""
        connection = _Connection(self.socket)
        with contextlib.closing(connection):
            text = json.dumps(body) if body is not None else None
            connection.request(method, path, text, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            data = json.load(answer)
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {data}")
        return data

    def until(self, path: str, *states: str) -> Any:
        """Wait until what is at a path is in one of the states; returns it."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (data := self.ask("GET", path))["state"] not in states:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{path} is still {data['state']}")
            time.sleep(POLL_SECONDS)
        return data


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("domwarden", timeout=PATIENCE_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE_SECONDS)
        self.sock.connect(str(self._path))


@contextlib.contextmanager
def _hosts() -> Iterator[_Service]:
    """Two hosts on a disk, and the domain running on the first."""
    with tempfile.TemporaryDirectory(prefix="dwb-", dir="/var/tmp") as name:
        directory = Path(name)
        for host, peer in ("ab", "ba"):
            lines = (f"host: {host}", f"state: {host}", f"socket: {host}.sock")
            peers = f"peers: {{{peer}: {{config: {peer}.yaml}}}}"
            (directory / f"{host}.yaml").write_text("\n".join([*lines, peers, ""]))
        (directory / "web1.yaml").write_text(FILE)
        service = _Service(directory)
        with service.running():
            service.ask("POST", "/v1/domains", {"path": str(directory / "web1.yaml")})
        try:
            yield service
        finally:
            with service.running():
                service.ask("POST", "/v1/domains/web1/stop", {})


def _settled_seconds(service: _Service) -> float:
    with service.running() as first:
        begun = service.ask("POST", "/v1/migrations", {"domain": "web1", "to": "b"})
        path = f"/v1/migrations/{begun['id']}"
        worker = _worker(service, path)
        left = time.monotonic()
        _kill(first.pid, _parent(worker), worker)
        first.wait(PATIENCE_SECONDS)
        with service.running():
            service.until(path, "failed")
            service.until("/v1/domains/web1", "running")
            return time.monotonic() - left


def _answer_seconds(service: _Service) -> float:
    with service.running() as first:
        left = time.monotonic()
        _kill(first.pid)
        first.wait(PATIENCE_SECONDS)
        with service.running():
            return time.monotonic() - left


def _worker(service: _Service, path: str) -> int:
    """Wait for the pre-copy, and return the process that drives it."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        move = service.ask("GET", path)
        if move["step"] == "precopy" and move["holder"]:
            return int(move["holder"].split()[1])
        time.sleep(POLL_SECONDS)
    raise RuntimeError("the pre-copy does not begin")


def _parent(pid: int) -> int:
    """Return a process's parent (proc_pid_stat(5))."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def _kill(*pids: int) -> None:
    """End all that drives the move; its watcher would settle it within milliseconds."""
    for pid in pids:
        os.kill(pid, signal.SIGKILL)

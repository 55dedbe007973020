"""Two hosts, each with a service and a network, and one guest that counts on its disk."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from domwarden.testing.console import Console

from ..system.house import MARK, alive, drivers, guest, marked, served
from . import testimony
from .points import Points
from .wire import ADDRESSES, Wire

NAME = "web1"
DISK_BYTES = 1 << 20
SECTOR_BYTES = 512
#: How long anything may take on a busy machine before a test gives up.
PATIENCE_SECONDS = 90.0
#: A host that is silent for so long counts as gone: the shortest that a host file may say.
SILENCE = "5s"
OTHER = {"a": "b", "b": "a"}


class Problem(AssertionError):
    """The service answered with a problem document."""

    def __init__(self, status: int, document: Any) -> None:
        super().__init__(f"{status}: {document}")
        self.document = document


class Hosts:
    """Hosts ``a`` and ``b`` under one folder; made and used by a thread with its own mounts."""

    def __init__(self, root: Path, wire: Wire) -> None:
        self.root = root
        self.wire = wire
        self.points = Points(root / "points")
        self.disk = root / "shared" / "web1.img"
        self.moves = 0
        #: No later test can use them: a person would have to act first.
        self.spent = False
        self._services: dict[str, subprocess.Popen[bytes]] = {}
        self._witness: subprocess.Popen[bytes] | None = None
        self._tales = 0

    # -- its files

    def write(self) -> None:
        """Write what a person writes on two hosts, and make their certificates."""
        made = guest()
        pki = str(self.root / "pki")
        _domwarden("pki", "init", "--directory", pki)
        _domwarden("pki", "host", "a", "b", "--directory", pki)
        self.disk.parent.mkdir()
        with self.disk.open("xb") as image:
            image.truncate(DISK_BYTES)
        for host, peer in OTHER.items():
            names = {"certificate": f"{host}.pem", "key": f"{host}.key"}
            text = {
                "host": host,
                "state": host,
                "listen": ADDRESSES[host],
                "tls": {"authority": pki + "/authority.pem"}
                | {key: f"{pki}/{file}" for key, file in names.items()},
                "peers": {peer: {"address": ADDRESSES[peer], "silence": SILENCE}},
                "drivers": {"qemu": {"accel": "tcg", "listen": ADDRESSES[host]}},
            }
            self._file(host).write_text(yaml.safe_dump(text))
        disk = {"driver": "blk", "source": str(self.disk), "format": "raw", "placement": "shared"}
        text = {
            "domain": NAME,
            "engine": "qemu",
            "memory": "192MiB",
            "boot": {"kernel": str(made.kernel), "cmdline": made.cmdline},
            "devices": {"root": disk},
            "migration": {"bandwidth": "10GiB/s", "timeout": "1min"},
        }
        (self.root / "web1.yaml").write_text(yaml.safe_dump(text))

    def _file(self, host: str) -> Path:
        return self.root / f"{host}.yaml"

    def log(self, host: str) -> Path:
        """Return what a host's services said."""
        return self.root / f"{host}.log"

    # -- its services

    def serve(self, host: str) -> None:
        """Start a host's service, as whoever guards it would, and wait until it answers."""
        words = [sys.executable, "-m", "domwarden", "serve", "-H", str(self._file(host))]
        with self.log(host).open("ab") as log:
            self._services[host] = subprocess.Popen(
                self.wire.inside(host, *words),
                stdin=subprocess.DEVNULL,
                stderr=log,
                cwd=self.root,
                env={**os.environ, **self.points.environment, MARK: str(self.root)},
            )
        self.until(lambda: self._healthy(host), f"the service of {host} answers")

    def _healthy(self, host: str) -> bool:
        assert self._services[host].poll() is None, self.log(host).read_text()
        try:
            return self.ask(host, "GET", "/v1/health") is not None
        except OSError:
            return False

    def service(self, host: str) -> int:
        """Return the pid of a host's service."""
        return self._services[host].pid

    def gone(self, host: str) -> bool:
        """Say whether a host's service was killed."""
        return self._services[host].poll() is not None

    def ask(self, host: str, method: str, where: str, **body: Any) -> Any:
        """Have the service of a host do something; raises Problem, and OSError for silence."""
        connection = http.client.HTTPConnection("domwarden", timeout=PATIENCE_SECONDS)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(PATIENCE_SECONDS)
        with contextlib.closing(connection):
            connection.sock.connect(str(self.root / host / "domwarden.sock"))
            text = json.dumps(body) if method == "POST" else None
            connection.request(method, where, text, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            found = json.load(answer)
        if answer.status >= 400:
            raise Problem(answer.status, found)
        return found

    def move(self, source: str) -> str:
        """Have the service of the source begin a move; returns its id."""
        self.moves += 1
        begun = self.ask(source, "POST", "/v1/migrations", domain=NAME, to=OTHER[source])
        return str(begun["id"])

    def state(self, host: str) -> str:
        """Return how the guest's copy on a host is, as its service sees it."""
        found = [one for one in self.ask(host, "GET", "/v1/domains") if one["name"] == NAME]
        return str(found[0]["state"]) if found else "absent"

    def unfinished(self) -> dict[str, list[Any]]:
        """Return the moves that are not over, as the services tell of them."""
        return {
            host: [
                move
                for move in self.ask(host, "GET", "/v1/migrations")
                if move["state"] in ("running", "waiting")
            ]
            for host in OTHER
        }

    # -- its guest

    def boot(self, host: str) -> None:
        """Start the guest, let it count on its disk, and have a new witness watch all of it."""
        # What an earlier guest wrote and told is none of this one's.
        with self.disk.open("r+b") as image:
            image.write(bytes(SECTOR_BYTES))
        for log in self._consoles().values():
            if log.exists():
                os.truncate(log, 0)
        self.moves = 0
        self._watch()
        self.ask(host, "POST", "/v1/domains", path=str(self.root / "web1.yaml"))
        asyncio.run(self._begin(host))
        self.until(lambda: bool(self.testimony()), "the guest counts")

    async def _begin(self, host: str) -> None:
        async with await Console.connect(self._folder(host) / "console") as console:
            await console.wait_ready(timeout_seconds=PATIENCE_SECONDS)
            await console.command("count start /dev/vda")

    def _watch(self) -> None:
        self._end_witness()
        self._tales += 1
        logs = [f"{host}={log}" for host, log in self._consoles().items()]
        script = str(Path(__file__).parent / "witness.py")
        words = [sys.executable, script, str(self._tale()), str(self.disk), *logs]
        self._witness = subprocess.Popen(words, stdin=subprocess.DEVNULL)

    def _consoles(self) -> dict[str, Path]:
        return {host: self.root / host / "logs" / f"{NAME}.console.log" for host in OTHER}

    def _tale(self) -> Path:
        return self.root / f"witness.{self._tales}"

    def testimony(self) -> list[testimony.Told]:
        """Return what the witness saw of this guest so far."""
        return testimony.read(self._tale())

    def _folder(self, host: str) -> Path:
        return self.root / host / "domains" / NAME / "qemu"

    def qemu(self, host: str) -> int:
        """Return the pid of the QEMU that has the guest's copy on a host."""
        return int((self._folder(host) / "pid").read_text())

    def driver(self) -> int:
        """Return the pid of the process that drives the move."""
        return drivers(self.root)[1]

    # -- what must hold

    def owner(self) -> str:
        """Return the one host on which a copy runs."""
        (owner,) = [host for host in OTHER if self.state(host) == "running"]
        return owner

    def settled(self) -> str:
        """Wait until one copy runs and nothing is left to do or behind; returns its host."""
        self.until(self._rests, "one copy runs, and nothing is left of the move")
        return self.owner()

    def _rests(self) -> bool:
        states = sorted(self.state(host) for host in OTHER)
        if states != ["absent", "running"] or any(self.unfinished().values()):
            return False
        absent = next(host for host in OTHER if self.state(host) == "absent")
        return not served(self.root / absent) and not _driving(self.root)

    def whole(self) -> int:
        """See that the guest counts on, and that it is one guest that lost nothing."""
        before = max(one.number for one in self.testimony())
        self.until(lambda: self.testimony()[-1].number > before + 2, "the guest counts on")
        return testimony.judge(self.testimony(), moves=self.moves)

    def until(
        self, condition: Callable[[], bool], what: str, *, seconds: float = PATIENCE_SECONDS
    ) -> None:
        """Wait for a condition."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                pytest.fail(f"not within {seconds:g} s: {what}; {self.seen()}")
            time.sleep(0.05)

    def seen(self) -> str:
        """Tell what the services say of the guest and its moves."""
        with contextlib.suppress(OSError, AssertionError):
            states = {host: self.state(host) for host in OTHER}
            return f"states {states}, unfinished {self.unfinished()}"
        return "a service does not answer"

    # -- the end

    def end(self) -> None:
        """End by pid whatever this test started."""
        self._end_witness()
        self.points.forget()
        for number in (signal.SIGTERM, signal.SIGKILL):
            for pid in self._ours():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
                    os.kill(pid, number)
            deadline = time.monotonic() + 10
            while self._ours() and time.monotonic() < deadline:
                time.sleep(0.05)
        for service in self._services.values():
            service.wait(10)

    def _ours(self) -> list[int]:
        return [*marked(self.root), *served(self.root / "a"), *served(self.root / "b")]

    def _end_witness(self) -> None:
        if self._witness is not None:
            self._witness.kill()
            self._witness.wait(10)


def _driving(root: Path) -> bool:
    """Say whether a driver and its watcher are there; one that only waits for a move is alone."""
    try:
        return alive(drivers(root)[0])
    except ValueError:
        return False


def _domwarden(*words: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "domwarden", *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr

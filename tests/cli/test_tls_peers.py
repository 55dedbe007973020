"""Two hosts that reach each other by TLS: real ``domwarden serve`` processes."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from in_process import domwarden

from domwarden.config import load_domain
from domwarden.contract import DomwardenError

from .test_peer import House

pytestmark = pytest.mark.live

LIMIT_SECONDS = 60


class TlsHouse(House):
    """Two hosts in a directory, each with a process that listens."""

    def __init__(self, directory: Path) -> None:
        # All of 127.0.0.0/8 is this machine: the port may be the usual one.
        one, two, three = (random.randint(1, 254) for _ in range(3))
        self.addresses = {
            "a": f"127.{one}.{two}.{three}",
            "b": f"127.{one}.{two}.{three % 254 + 1}",
        }
        where = ("--directory", str(directory / "pki"))
        assert domwarden("pki", "init", *where).returncode == 0
        assert domwarden("pki", "host", "a", "b", *where).returncode == 0
        self.listening: dict[str, subprocess.Popen[bytes]] = {}
        super().__init__(directory)

    def write(self, host: str, command: list[str]) -> None:
        """Write the file of a host, which needs no command."""
        peer = {"a": "b", "b": "a"}[host]
        files = {"authority": "authority.pem", "certificate": f"{host}.pem", "key": f"{host}.key"}
        facts = {
            "host": host,
            "state": host,
            "listen": self.addresses[host],
            "tls": {key: f"pki/{file}" for key, file in files.items()},
            "peers": {peer: {"address": self.addresses[peer]}},
        }
        (self.directory / f"{host}.yaml").write_text(yaml.safe_dump(facts))

    def listen(self, host: str, *, crash_at: str = "") -> None:
        """Start a host's process, and wait until it listens."""
        log = self.log(host)
        log.unlink(missing_ok=True)
        with log.open("wb") as file:
            self.listening[host] = subprocess.Popen(
                [sys.executable, "-m", "domwarden", "serve", "-H", f"{host}.yaml"],
                stdin=subprocess.DEVNULL,
                stderr=file,
                cwd=self.directory,
                env={**os.environ, "DOMWARDEN_CRASH_AT": crash_at},
            )
        deadline = time.monotonic() + LIMIT_SECONDS
        while "answers its peers at" not in log.read_text():
            assert self.listening[host].poll() is None, log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def log(self, host: str) -> Path:
        return self.directory / f"{host}.log"

    def quit(self, host: str) -> int:
        """Let a host's process end as a service is ended; returns its status."""
        process = self.listening.pop(host)
        process.send_signal(signal.SIGTERM)
        return process.wait(LIMIT_SECONDS)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[TlsHouse]:
    pytest.importorskip("cryptography", reason="domwarden[pki] is not installed")
    made = TlsHouse(tmp_path)
    try:
        for host in "ab":
            made.listen(host)
        made.do("a", lambda warden: warden.start(load_domain(tmp_path / "web1.yaml")))
        yield made
    finally:
        for process in made.listening.values():
            process.kill()
            process.wait(LIMIT_SECONDS)
        for host in "ab":
            with contextlib.suppress(DomwardenError):
                made.do(host, lambda warden: warden.stop("web1"))


def test_a_domain_moves_there_and_back_over_tls(house: TlsHouse) -> None:
    """Asked, planned, refused, moved, moved back; the progress of both ends is seen."""
    plan = house.run("plan", "web1", "--to", "b", "--json", "-H", "a.yaml")
    assert json.loads(plan.stdout)["refusals"] == []
    refused = house.run("start", "web1.yaml", "-H", "b.yaml")
    assert "copy-elsewhere" in refused.stderr
    for source, destination in ("ab", "ba"):
        words = ("migrate", "web1", "--to", destination, "--json", "-H", f"{source}.yaml")
        moved = house.run(*words)
        assert moved.returncode == 0, moved.stderr
        assert json.loads(moved.stdout)["blackout_seconds"] < 60
        assert f"granted to the destination ({destination})" in moved.stderr
        assert house.states() == {source: "absent", destination: "running"}
    assert [house.quit(host) for host in "ab"] == [0, 0]
    for host in "ab":
        assert "WARNING" not in house.log(host).read_text()


@pytest.mark.parametrize(
    "point",
    [
        "destination engine activate before",
        pytest.param("destination journal ready after", marks=pytest.mark.slow),
        pytest.param("destination engine listen after", marks=pytest.mark.slow),
    ],
)
def test_a_listening_peer_that_is_killed_leaves_one_running_copy(
    house: TlsHouse, point: str
) -> None:
    """What started it starts it again, and the move is settled without anybody."""
    house.quit("b")
    house.listen("b", crash_at=point)
    words = [sys.executable, "-m", "domwarden", "migrate", "web1", "--to", "b", "-H", "a.yaml"]
    # Its watcher goes on for as long as b is away, and would hold a pipe open.
    with (house.directory / "said").open("wb") as said:
        subprocess.run(words, stderr=said, cwd=house.directory, timeout=LIMIT_SECONDS, check=False)
    assert house.listening["b"].wait(LIMIT_SECONDS) == -signal.SIGKILL
    assert list(house.states().values()).count("running") <= 1
    house.listen("b")
    deadline = time.monotonic() + LIMIT_SECONDS
    while sorted(house.states().values()) != ["absent", "running"]:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_a_host_that_is_no_peer_is_refused_and_both_ends_say_so(house: TlsHouse) -> None:
    """The one that asked, without a reason; the one that was asked, with it."""
    lonely = yaml.safe_load((house.directory / "b.yaml").read_text())
    lonely["peers"] = {"c": {"address": "127.0.0.1"}}
    (house.directory / "b.yaml").write_text(yaml.safe_dump(lonely))
    house.quit("b")
    house.listen("b")
    refused = house.run("migrate", "web1", "--to", "b", "-H", "a.yaml")
    assert refused.returncode == 1
    assert "b cannot be reached: " in refused.stderr
    assert "Traceback" not in refused.stderr
    assert house.states() == {"a": "running", "b": "absent"}
    (line,) = [each for each in house.log("b").read_text().splitlines() if "WARNING" in each]
    assert "its certificate names 'a', no peer of this host" in line

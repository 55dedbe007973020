"""A host that is emptied from another one: real ``domwarden serve`` processes and the command."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from domwarden.client.connection import Service
from domwarden.config import load_domain
from domwarden.contract import DomwardenError

from .test_tls_peers import LIMIT_SECONDS, TlsHouse

pytestmark = pytest.mark.live

DOMAINS = ("web1", "web2", "web3")
#: A move of it takes longer than any test.
SLOW = {"bandwidth": "8KiB/s", "timeout": "10min"}


class EmptiedHouse(TlsHouse):
    """Host b may have host a emptied, and not the other way round."""

    def write(self, host: str, command: list[str]) -> None:
        super().write(host, command)
        if host == "a":
            path = self.directory / "a.yaml"
            facts = yaml.safe_load(path.read_text())
            facts["peers"]["b"]["may_evacuate"] = True
            path.write_text(yaml.safe_dump(facts))

    def start(self, name: str, host: str = "a", **more: object) -> None:
        path = self.directory / f"{name}.yaml"
        whole = {"domain": name, "engine": "embedded", "memory": "2MiB", **more}
        path.write_text(yaml.safe_dump(whole))
        self.do(host, lambda warden: warden.start(load_domain(path)))

    def here(self, host: str) -> dict[str, str]:
        """Look at the domains of a host."""
        said = self.run("status", "--json", "-H", f"{host}.yaml")
        return {one["name"]: one["state"] for one in json.loads(said.stdout)}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[EmptiedHouse]:
    pytest.importorskip("cryptography", reason="domwarden[pki] is not installed")
    made = EmptiedHouse(tmp_path)
    try:
        for host in "ab":
            made.listen(host)
        yield made
    finally:
        for process in made.listening.values():
            process.kill()
            process.wait(LIMIT_SECONDS)
        for host in "ab":
            for name in DOMAINS:
                with contextlib.suppress(DomwardenError):
                    made.do(host, lambda warden, name=name: warden.stop(name))


def test_a_peer_is_emptied_and_tells_all_that_it_does(house: EmptiedHouse) -> None:
    """A dry run, the run, what stays, and a peer that it is not allowed for, nor known."""
    house.start("web1", memory="4MiB")
    house.start("web2")
    words = ("evacuate", "a", "-H", "b.yaml")
    dry = house.run(*words, "--dry-run")
    assert (dry.returncode, dry.stdout) == (0, "web1 -> b\nweb2 -> b\n"), dry.stderr
    assert set(house.here("a").values()) == {"running"}
    done = house.run(*words, "--parallel-per-host", "1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("a: 2 moved, 0 stay, after ")
    told = [line.partition(" after ")[0] for line in done.stderr.splitlines()]
    assert told == ["web1: to b", "web1: on b", "web2: to b", "web2: on b"]
    assert house.here("b") == {"web1": "running", "web2": "running"}
    again = json.loads(house.run(*words, "--json").stdout)
    assert (again["host"], again["moved"], again["stays"]) == ("a", [], {})
    back = house.run("evacuate", "b", "-H", "a.yaml")
    assert back.returncode == 1
    assert "a may not have b emptied" in back.stderr
    assert "`may_evacuate: true` under peers.a in the host file of b" in back.stderr
    assert house.here("b") == {"web1": "running", "web2": "running"}
    stranger = house.run("evacuate", "c", "-H", "a.yaml")
    assert stranger.returncode == 2
    assert "its peers: b" in stranger.stderr
    for said in (back, stranger, done):
        assert "Traceback" not in said.stderr


def test_an_interrupt_stops_it_over_there_and_nothing_arrives_meanwhile(
    house: EmptiedHouse,
) -> None:
    """The move under way goes on until it is cancelled for itself; what did not begin stays."""
    house.start("web1", migration=SLOW)
    house.start("web2", migration=SLOW)
    house.start("web3", "b")
    words = ("evacuate", "a", "--parallel-per-host", "1", "--policy", "by-name", "-H", "b.yaml")
    with subprocess.Popen(
        [sys.executable, "-m", "domwarden", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=house.directory,
    ) as run:
        assert run.stderr is not None
        assert run.stderr.readline() == "web1: to b\n"
        second = house.run(*words)
        assert second.returncode == 1
        assert "(begun by the peer b) is under way" in second.stderr
        against = house.run("evacuate", "b", "--json", "-H", "b.yaml")
        assert against.returncode == 1
        (reason,) = json.loads(against.stdout)["stays"]["web3"]
        assert (reason["code"], reason["host"]) == ("being-emptied", "a")
        run.send_signal(signal.SIGINT)
        assert "no more moves begin" in run.stderr.readline()
        service = Service(house.directory / "a" / "domwarden.sock")
        deadline = time.monotonic() + LIMIT_SECONDS
        while not service.ask("GET", "/v1/operations")[0]["stopping"]:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        (move,) = service.ask("GET", "/v1/migrations")
        service.ask("DELETE", f"/v1/migrations/{move['id']}")
        out, err = run.communicate(timeout=LIMIT_SECONDS)
    assert run.returncode == 1, err
    assert out.startswith("a: 0 moved, 2 stay")
    assert "stopped before its end" in out.splitlines()[0]
    assert "Traceback" not in err
    here = house.here("a")
    assert (here["web1"], here["web2"]) == ("running", "running")
    assert house.here("b")["web3"] == "running"

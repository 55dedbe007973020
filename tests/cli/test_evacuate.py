"""``domwarden evacuate`` on two hosts with real embedded domains."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from in_process import Ran, domwarden

from domwarden.cli.evacuate import POLICIES
from domwarden.plan import Policy

DOMAINS = ("web1", "web2", "web3")


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """Two hosts, and three domains on a, the first one the largest."""
    for host, peer in ("ab", "ba"):
        facts = {"host": host, "state": host, "peers": {peer: {"config": f"{peer}.yaml"}}}
        (tmp_path / f"{host}.yaml").write_text(yaml.safe_dump(facts))
    for size, name in zip((6, 4, 2), DOMAINS, strict=True):
        whole = {"domain": name, "engine": "embedded", "memory": f"{size}MiB"}
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(whole))
        assert on(tmp_path, "start", f"{name}.yaml").returncode == 0
    yield tmp_path
    for host in "ab":
        for name in DOMAINS:
            on(tmp_path, "stop", name, host=host)


def on(directory: Path, *words: str, host: str = "a") -> Ran:
    return domwarden(*words, "-H", f"{host}.yaml", cwd=directory)


def states(directory: Path, host: str) -> dict[str, str]:
    found = json.loads(on(directory, "status", "--json", host=host).stdout)
    return {one["name"]: one["state"] for one in found}


def test_each_policy_can_be_named() -> None:
    """The command line's names are the planner's."""
    assert tuple(Policy) == POLICIES


def test_a_host_is_emptied_and_says_what_stays(directory: Path) -> None:
    """A dry run, the run, and a second run that finds nothing; the wrong host is refused."""
    for words in (("evacuate",), ("evacuate", "a", "--all"), ("evacuate", "b")):
        assert on(directory, *words).returncode == 2
    assert "run it on b" in on(directory, "evacuate", "b").stderr
    dry = on(directory, "evacuate", "a", "--dry-run")
    assert dry.stdout.splitlines() == [f"{name} -> b" for name in DOMAINS]
    assert set(states(directory, "a").values()) == {"running"}
    (directory / "disk.img").write_bytes(bytes(4096))
    on(directory, "stop", "web2")
    disk = {"driver": "blk", "source": "disk.img", "format": "raw", "placement": "local"}
    whole = {"domain": "web2", "engine": "embedded", "memory": "4MiB", "devices": {"root": disk}}
    (directory / "web2.yaml").write_text(yaml.safe_dump(whole))
    assert on(directory, "start", "web2.yaml").returncode == 0
    done = on(directory, "evacuate", "--all", "--parallel-per-link", "2")
    assert done.returncode == 1
    assert done.stdout.startswith("a: 2 moved, 1 stay, after ")
    assert done.stderr.splitlines()[0] == "web1: to b"
    for word in ("web2", "root", "remedy", "code"):
        assert word in done.stdout
    assert states(directory, "a")["web2"] == "running"
    assert states(directory, "b") == {"web1": "running", "web3": "running"}
    again = json.loads(on(directory, "evacuate", "--all", "--json").stdout)
    assert (again["moved"], list(again["stays"])) == ([], ["web2"])


def test_an_interrupt_begins_nothing_more_and_sums_up(directory: Path) -> None:
    """The move under way arrives; the others stay, and say why."""
    words = ("evacuate", "a", "--parallel-per-host", "1", "-H", "a.yaml")
    with subprocess.Popen(
        [sys.executable, "-m", "domwarden", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=directory,
    ) as run:
        assert run.stderr is not None
        assert run.stderr.readline() == "web1: to b\n"
        run.send_signal(signal.SIGINT)
        out, err = run.communicate(timeout=60)
    assert run.returncode == 1
    assert "no more moves begin" in err
    assert "web1: on b after" in err
    assert out.startswith("a: 1 moved, 2 stay")
    assert "stopped before its end" in out.splitlines()[0]
    assert states(directory, "b") == {"web1": "running"}
    here = states(directory, "a")
    assert (here["web2"], here["web3"]) == ("running", "running")

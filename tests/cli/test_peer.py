"""Two hosts that reach each other by a command only: the real ``domwarden peer`` as a process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
import yaml

from domwarden.config import load_domain, load_host
from domwarden.contract import Armed, DomwardenError, Movement, RunState
from domwarden.migration import Hub, Ports
from domwarden.migration.far import RemoteEnd
from domwarden.migration.moving import departing
from domwarden.warden import Warden

ResultT = TypeVar("ResultT")

#: Runs the peer, the first time with a point at which it is killed.
ONCE = """
import os, pathlib, sys
mark, point, *words = sys.argv[1:]
try:
    os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
    os.environ["DOMWARDEN_CRASH_AT"] = point
except FileExistsError:
    pass
os.execv(words[0], words)
"""

PEER = [sys.executable, "-m", "domwarden", "peer", "-H"]


class House:
    """Two hosts in a directory, with a domain on host a."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.write("a", [*PEER, str(directory / "b.yaml")])
        self.write("b", [*PEER, str(directory / "a.yaml")])
        domain = {"domain": "web1", "engine": "embedded", "memory": "2MiB"}
        (directory / "web1.yaml").write_text(yaml.safe_dump(domain))

    def write(self, host: str, command: list[str]) -> None:
        """Write the file of a host that reaches the other one by this command."""
        peer = {"a": "b", "b": "a"}[host]
        facts = {"host": host, "state": host, "peers": {peer: {"command": command}}}
        (self.directory / f"{host}.yaml").write_text(yaml.safe_dump(facts))

    def kill_peer_at(self, point: str) -> None:
        """Let host b's process be killed at that point, once."""
        mark = str(self.directory / "killed")
        command = [sys.executable, "-c", ONCE, mark, point, *PEER, str(self.directory / "b.yaml")]
        self.write("a", command)

    def run(self, *words: str, crash_at: str = "") -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "DOMWARDEN_CRASH_AT": crash_at}
        return subprocess.run(
            [sys.executable, "-m", "domwarden", *words],
            capture_output=True,
            text=True,
            timeout=120,
            cwd=self.directory,
            check=False,
            env=environment,
        )

    def do(self, host: str, work: Callable[[Warden], Awaitable[ResultT]]) -> ResultT:
        """Do something with a host's warden in this process: a command takes a second to start."""

        async def inner() -> ResultT:
            async with Warden(load_host(self.directory / f"{host}.yaml")) as warden:
                return await work(warden)

        return asyncio.run(inner())

    def state(self, host: str) -> str:
        async def look() -> str:
            async with Hub(load_host(self.directory / f"{host}.yaml"), Ports()) as hub:
                return str(await hub.site.state("web1", "embedded"))

        return asyncio.run(look())

    def states(self) -> dict[str, str]:
        return {host: self.state(host) for host in "ab"}

    def settle(self) -> None:
        """Recover from both hosts; nothing must be left."""
        for host in "aba":
            left = self.do(host, lambda warden: warden.recover())
        assert left == []


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    made.do("a", lambda warden: warden.start(load_domain(tmp_path / "web1.yaml")))
    yield made
    for host in "ab":
        with contextlib.suppress(DomwardenError):
            made.do(host, lambda warden: warden.stop("web1"))


@pytest.mark.live
def test_a_domain_moves_there_and_back_over_a_command(house: House) -> None:
    """Asked, planned, moved, refused, moved back; the progress of both ends is seen."""
    plan = house.run("plan", "web1", "--to", "b", "--json", "-H", "a.yaml")
    assert json.loads(plan.stdout)["refusals"] == []
    refused = house.run("start", "web1.yaml", "-H", "b.yaml")
    assert refused.returncode == 1
    assert "copy-elsewhere" in refused.stderr
    for source, destination in ("ab", "ba"):
        words = ("migrate", "web1", "--to", destination, "--json", "-H", f"{source}.yaml")
        moved = house.run(*words)
        assert moved.returncode == 0, moved.stderr
        assert json.loads(moved.stdout)["blackout_seconds"] < 60
        assert f"granted to the destination ({destination})" in moved.stderr
        assert house.states() == {source: "absent", destination: "running"}


@pytest.mark.live
def test_a_save_is_restored_on_a_host_that_asks_its_maker(house: House) -> None:
    """Over the command; and never a second time."""
    assert house.run("save", "web1", "saved", "-H", "a.yaml").returncode == 0
    restored = house.run("restore", "saved", "-H", "b.yaml")
    assert restored.returncode == 0, restored.stderr
    assert house.states() == {"a": "absent", "b": "running"}
    again = house.run("restore", "saved", "-H", "a.yaml")
    assert "copy-elsewhere" in again.stderr


SOME = ("destination journal ready after", "destination engine activate before")
REST = (
    "link test after",
    "destination journal opened after",
    "destination engine listen after",
    "link start before",
    "destination journal ready before",
    "destination journal granted before",
    "destination journal granted after",
    "destination engine activate after",
    "link grant after",
    "link finish before",
    "destination journal done after",
)
POINTS = [*SOME, *(pytest.param(point, marks=pytest.mark.slow) for point in REST)]


@pytest.mark.live
@pytest.mark.parametrize("point", POINTS)
def test_a_peer_that_is_killed_at_any_point_leaves_one_running_copy(
    house: House, point: str
) -> None:
    """The one that drives the move settles it with the peer's next process."""
    house.kill_peer_at(point)
    house.run("migrate", "web1", "--to", "b", "-H", "a.yaml")
    assert (house.directory / "killed").exists()
    assert list(house.states().values()).count("running") == 1
    house.settle()
    assert sorted(house.states().values()) == ["absent", "running"]


@pytest.mark.live
@pytest.mark.parametrize(
    "point",
    [
        "source journal released after",
        pytest.param("source engine suspend after", marks=pytest.mark.slow),
        pytest.param("source engine complete after", marks=pytest.mark.slow),
        pytest.param("source engine stop before", marks=pytest.mark.slow),
    ],
)
def test_a_driver_that_is_killed_leaves_one_running_copy(house: House, point: str) -> None:
    """Its watcher reaches the peer by the command, too."""
    house.run("migrate", "web1", "--to", "b", "-H", "a.yaml", crash_at=point)
    assert list(house.states().values()).count("running") == 1
    house.settle()
    assert sorted(house.states().values()) == ["absent", "running"]


@pytest.mark.slow
def test_a_peer_that_is_left_with_a_move_gives_it_up_by_itself(house: House) -> None:
    """Its client is gone and its source silent; it was not ready, so the held copy goes."""
    house.write("b", ["false"])

    async def leave() -> None:
        async with Hub(load_host(house.directory / "a.yaml"), Ports()) as hub:
            record = await departing(hub, "web1", Movement.MIGRATE, "b")
            far = RemoteEnd(await hub.link("b"), record, "a")
            await far.open({}, Armed.UNKNOWN)
            assert (await far.look()).state is RunState.INCOMING

    asyncio.run(leave())
    deadline = time.monotonic() + 60
    while house.state("b") != "absent":
        assert time.monotonic() < deadline
        time.sleep(1)
    assert house.do("b", lambda warden: warden.recover()) == []
    assert house.state("a") == "running"


def test_who_types_peer_is_told_what_it_is_for(tmp_path: Path) -> None:
    """One line, at a terminal as with a file for its input."""
    (tmp_path / "a.yaml").write_text("host: a\nstate: a\n")
    words = [*PEER, "a.yaml"]
    at_terminal: Any = shlex.join(words)
    done = subprocess.run(
        ["script", "-qec", at_terminal, "/dev/null"],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
        check=False,
    )
    assert "not to a terminal" in done.stdout
    with (tmp_path / "a.yaml").open() as file:
        done = subprocess.run(
            words, stdin=file, capture_output=True, text=True, timeout=60, cwd=tmp_path, check=False
        )
    assert done.returncode == 1
    assert "peer speaks over a pipe or a socket" in done.stderr

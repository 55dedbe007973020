"""A host's service as its unit starts it on a machine with systemd, and a client of its API."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from workspace import ROOT

from .machine import Machine, machine, until

UNITS = ROOT / "packaging/systemd"
SERVICE = "domwarden.service"
SLICE = "domwarden.slice"
GROUP = f"system.slice/{SERVICE}"
NAME = "web1"

#: What depends on where this test's domwarden lies. An event loop that hangs is found out sooner.
DROP_IN = """[Service]
ExecStart=
ExecStart={python} -m domwarden serve -H {directory}/a.yaml
Environment=XDG_CACHE_HOME={directory}/cache
StandardOutput=append:{directory}/a.log
StandardError=inherit
WatchdogSec={watchdog_seconds}
"""
WATCHDOG_SECONDS = 10


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("domwarden", timeout=60)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class Served:
    """Host a, whose peer b has its state on the same machine, and no service."""

    def __init__(self, there: Machine, directory: Path) -> None:
        self.machine = there
        self.directory = directory

    def ask(self, method: str, where: str, **body: Any) -> Any:
        """Return what the service answers; fails with its problem."""
        connection = _Connection(self.directory / "a/domwarden.sock")
        with contextlib.closing(connection):
            text = json.dumps(body) if method == "POST" else None
            connection.request(method, where, text, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            said = json.load(answer)
        assert answer.status < 300, said
        return said

    def start(self, **definition: Any) -> None:
        """Start a domain."""
        path = self.directory / f"{NAME}.yaml"
        path.write_text(yaml.safe_dump({"domain": NAME, **definition}))
        self.ask("POST", "/v1/domains", path=str(path))

    def state(self) -> str:
        return str(self.ask("GET", f"/v1/domains/{NAME}")["state"])

    def on(self, host: str) -> Any:
        """Return the domain's status on a host without its service."""
        here = str(self.directory / f"{host}.yaml")
        said = self.machine.run(sys.executable, "-m", "domwarden", "status", "--json", "-H", here)
        (found,) = json.loads(said)
        return found

    def main(self) -> int:
        """Return the service's pid, as systemd sees it."""
        return int(self.machine.shown(SERVICE, "MainPID"))

    def restarts(self) -> int:
        """Return how often systemd found the service dead."""
        return int(self.machine.shown(SERVICE, "NRestarts"))

    def active(self) -> bool:
        return self.machine.shown(SERVICE, "ActiveState") == "active"

    def signal(self, name: str) -> None:
        """Send the service's own process a signal."""
        self.machine.systemctl("kill", "--kill-whom=main", f"--signal={name}", SERVICE)

    def left(self) -> dict[int, list[str]]:
        """Return the processes of the service's own group, once what it starts has left it.

        Who was just started, as the driver of the next move is, is there for a moment.
        """
        found: dict[int, list[str]] = {}

        def is_alone() -> bool:
            found.clear()
            found.update(self.machine.processes(GROUP))
            print(found)  # shown where it stays so
            return len(found) == 1

        until(is_alone, "nothing but the service is in its group")
        return found

    def scopes(self) -> Mapping[str, dict[int, list[str]]]:
        """Return the processes of every scope, by its name."""
        group = self.machine.group / SLICE
        names = [path.name for path in group.glob("*.scope")]
        return {name: self.machine.processes(f"{SLICE}/{name}") for name in names}

    def scoped(self, word: str) -> list[int]:
        """Return the processes of the one scope of a program, which are of one kind.

        Who was just started is in the service's own group for a moment.
        """
        found: list[dict[int, list[str]]] = []

        def is_there() -> bool:
            found[:] = [each for each in self.scopes().values() if _has(each, word)]
            return bool(found)

        until(is_there, f"a scope for {word}")
        assert len(found) == 1, f"{word}: {self.scopes()}"
        assert all(_has({pid: words}, word) for pid, words in found[0].items()), found
        return sorted(found[0])


def _has(processes: Mapping[int, list[str]], word: str) -> bool:
    return any(each.rpartition("/")[2] == word for words in processes.values() for each in words)


@contextlib.contextmanager
def served(directory: Path) -> Iterator[Served]:
    """Enter a machine whose systemd knows the units that are delivered; nothing is started yet."""
    for host, peer in ("ab", "ba"):
        facts = {
            "host": host,
            "state": host,
            "peers": {peer: {"config": f"{peer}.yaml"}},
            # TCG everywhere: what holds here holds on any machine.
            "drivers": {"qemu": {"accel": "tcg"}},
        }
        (directory / f"{host}.yaml").write_text(yaml.safe_dump(facts))
    with machine(directory, *UNITS.iterdir()) as there:
        drop_in = there.units / f"{SERVICE}.d" / "here.conf"
        drop_in.parent.mkdir()
        facts = {"python": sys.executable, "directory": directory}
        drop_in.write_text(DROP_IN.format(**facts, watchdog_seconds=WATCHDOG_SECONDS))
        there.systemctl("daemon-reload")
        yield Served(there, directory)

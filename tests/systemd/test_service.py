"""A real systemd guards the warden, and whatever it does to it, domains and migrations live on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from domwarden.testing.require import program

from ..qemu.lab import guest
from .machine import until
from .served import Served, served

pytestmark = pytest.mark.live

#: A move takes 8 s to copy what is all written anew meanwhile, and 8 s to copy that once more.
EMBEDDED = {
    "memory": "16MiB",
    "boot": {"program": "dirtier", "dirty_rate": "8MiB/s", "dirty_area": "512KiB"},
    "migration": {"bandwidth": "64KiB/s", "downtime_limit": "12s", "timeout": "10min"},
}


def _qemu() -> dict[str, Any]:
    """Return a domain with a Linux guest and a TPM."""
    program("swtpm", "swtpm")
    made = guest()
    return {
        "engine": "qemu",
        "memory": "192MiB",
        "boot": {"kernel": str(made.kernel), "cmdline": made.cmdline},
        "watchdog": {"driver": "i6300esb", "timeout": "30s"},
        "devices": {"tpm0": {"driver": "tpm", "move": "stream"}},
        "migration": {"bandwidth": "4MiB/s", "timeout": "10min"},
    }


#: The programs of a domain, each of which has a scope of its own.
PROGRAMS = {
    "embedded": ["domwarden.embedded.process"],
    "qemu": ["qemu-system-x86_64", "swtpm", "domwarden.watchdog.process"],
}


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as made:
        made.machine.systemctl("start", "domwarden")
        yield made


def _ends(host: Served) -> Iterator[str]:
    """End the service in each way, and yield once another one serves."""
    old = host.main()
    host.machine.systemctl("restart", "domwarden")
    assert host.main() != old
    yield "restart"
    restarts = host.restarts()
    host.signal("KILL")
    until(lambda: host.restarts() > restarts and host.active(), "systemd starts it again")
    yield "killed"


def _copies(move: dict[str, Any]) -> bool:
    """Return whether a move's memory is copied; fails if the move is over."""
    assert move["state"] == "running", move
    return bool(move["step"] == "precopy")


def test_the_unit_is_up_when_the_service_answers(host: Served) -> None:
    """Systemd hears so from the service itself, in whose control group nothing else is."""
    assert host.machine.shown("domwarden", "ActiveState") == "active"
    assert host.ask("GET", "/v1/health")["domains"] == 0
    (words,) = host.left().values()
    assert "serve" in words
    # However often it dies, systemd does not give it up.
    assert host.machine.shown("domwarden", "StartLimitIntervalUSec") == "0"


@pytest.mark.parametrize("engine", ["embedded", "qemu"])
def test_no_end_of_the_service_ends_a_domain_or_its_migration(host: Served, engine: str) -> None:
    """Each of their processes is in a scope of its own, and is found again by the next service."""
    host.start(**(EMBEDDED if engine == "embedded" else _qemu()))
    pids = {name: host.scoped(name) for name in PROGRAMS[engine]}
    for end in _ends(host):
        assert host.state() == "running", end
        assert {name: host.scoped(name) for name in PROGRAMS[engine]} == pids, end
        (words,) = host.left().values()
        assert "serve" in words, end

    begun = host.ask("POST", "/v1/migrations", domain="web1", to="b")
    path = f"/v1/migrations/{begun['id']}"
    until(lambda: _copies(host.ask("GET", path)), "memory is copied")
    host.scoped("domwarden.migration.driver")
    for end in _ends(host):
        # On a slow machine it may be there by now. Whoever lost its driver would go back, not on.
        assert host.ask("GET", path)["state"] in {"running", "succeeded"}, end
    until(lambda: host.ask("GET", path)["state"] != "running", "it arrives")
    assert host.ask("GET", path)["outcome"] == "arrived"
    assert (host.state(), host.on("b")["state"]) == ("absent", "running")


def test_a_service_that_hangs_is_replaced(host: Served) -> None:
    """Stopped, it tells systemd nothing and is aborted; its threads' tracebacks are in the log."""
    host.start(**EMBEDDED)
    pids = host.scoped("domwarden.embedded.process")
    old = host.main()
    host.signal("STOP")
    until(lambda: host.restarts() == 1 and host.active(), "systemd starts another one")
    assert host.main() != old
    assert (host.state(), host.scoped("domwarden.embedded.process")) == ("running", pids)
    words = (host.directory / "a.log").read_text()
    assert "Fatal Python error: Aborted" in words
    assert "run_forever" in words

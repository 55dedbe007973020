"""Kills or stops one process at a named point of a move, and sees what becomes of the guest."""

from __future__ import annotations

import contextlib
import enum
import os
import signal
import time
from collections.abc import Iterator

from domwarden_qemu.process import start_time

from .hosts import NAME, OTHER, Hosts
from .testimony import Gap, longest_gap

#: How long a stopped process stays stopped where nothing is waited for.
STOPPED_SECONDS = 2.0
#: Longer than a guest stands still that may come back.
WAITS_SECONDS = 6.0
#: Before the release the guest is back so soon.
PROMISED_SECONDS = 3.0
#: What a machine that is busy with other tests may add.
SLACK_SECONDS = 2.0


class Victim(enum.StrEnum):
    """Whom it meets; a warden is the service of its host."""

    SOURCE_WARDEN = "source-warden"
    DESTINATION_WARDEN = "destination-warden"
    DRIVER = "driver"
    SOURCE_QEMU = "source-qemu"
    DESTINATION_QEMU = "destination-qemu"

    def pid(self, hosts: Hosts, source: str) -> int:
        """Return its process's pid in a move from a host."""
        return {
            Victim.SOURCE_WARDEN: lambda: hosts.service(source),
            Victim.DESTINATION_WARDEN: lambda: hosts.service(OTHER[source]),
            Victim.DRIVER: hosts.driver,
            Victim.SOURCE_QEMU: lambda: hosts.qemu(source),
            Victim.DESTINATION_QEMU: lambda: hosts.qemu(OTHER[source]),
        }[self]()


class End(enum.StrEnum):
    """Where the guest is afterwards."""

    STAYS = "stays"
    ARRIVES = "arrives"
    #: Both are right: it depends on what is noticed first.
    EITHER = "either"
    #: Neither host runs a copy, and what a person must decide is told.
    ASKS = "asks"
    #: It died with the only copy that could run, as it would have without a move.
    DIES = "dies"


@contextlib.contextmanager
def at(hosts: Hosts, point: str, source: str) -> Iterator[None]:
    """Begin a move and hold it at a point meanwhile."""
    hosts.points.want(point)
    hosts.move(source)
    with hosts.points.held():
        yield


@contextlib.contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Stop a process; it goes on afterwards, if it is still there."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def kill(hosts: Hosts, victim: Victim, point: str) -> str:
    """Kill it there, and start a killed service again; returns the host that the move was from."""
    source = hosts.owner()
    with at(hosts, point, source):
        pid = victim.pid(hosts, source)
        os.kill(pid, signal.SIGKILL)
        # Whoever is held at the point meets it dead, not dying.
        hosts.until(lambda: start_time(pid) is None, "it is dead")
    wardens = {Victim.SOURCE_WARDEN: source, Victim.DESTINATION_WARDEN: OTHER[source]}
    if host := wardens.get(victim):
        hosts.until(lambda: hosts.gone(host), "the service is gone")
        hosts.serve(host)
    return source


def stop(hosts: Hosts, victim: Victim, point: str) -> str:
    """Stop it there for a while; returns the host that the move was from."""
    source = hosts.owner()
    with contextlib.ExitStack() as stop:
        with at(hosts, point, source):
            stop.enter_context(stopped(victim.pid(hosts, source)))
        time.sleep(STOPPED_SECONDS)
    return source


def expect(hosts: Hosts, end: End, source: str) -> None:
    """See the guest where it must be, one and whole; one that died is booted for the next test."""
    if end is End.DIES:
        hosts.until(lambda: hosts.state(source) == "ended", "the death is told")
        hosts.until(lambda: not any(hosts.unfinished().values()), "the move is over")
        assert hosts.state(OTHER[source]) == "absent"
        hosts.ask(source, "POST", f"/v1/domains/{NAME}/stop")
        hosts.boot(source)
        return
    if end is End.ASKS:
        asked = "decide whether the source's suspended copy still fits its disks"
        hosts.until(lambda: asked in str(hosts.unfinished()), "a person is asked")
        assert sorted(hosts.state(host) for host in OTHER) == ["departed", "ended"]
        hosts.spent = True
        return
    owner = hosts.settled()
    if end is not End.EITHER:
        assert owner == (source if end is End.STAYS else OTHER[source])
    hosts.whole()


def waits(hosts: Hosts) -> None:
    """See that no copy of the guest does anything for a while."""
    told = hosts.testimony()
    time.sleep(WAITS_SECONDS)
    assert hosts.testimony() == told


def back(hosts: Hosts, source: str, since: float) -> Gap:
    """Wait until the guest counts on where it was; returns how long it stood still."""
    silent_at = max(one.seconds for one in hosts.testimony() if one.where == source)

    def counts() -> bool:
        told = [one for one in hosts.testimony() if one.where == source]
        return told[-1].seconds > max(silent_at, since)

    hosts.until(counts, f"the guest is back on {source}")
    return longest_gap(hosts.testimony(), since)

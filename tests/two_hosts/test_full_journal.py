"""A journal whose disk is full never makes two copies of a guest, and loses none."""

from __future__ import annotations

import contextlib
import errno
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .breaking import STOPPED_SECONDS, End, at, expect
from .hosts import OTHER, Hosts
from .stage import Stage
from .wire import run

pytestmark = pytest.mark.live

DISK = "size=6m"


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    made = Stage(lambda: tmp_path_factory.mktemp("hosts"), small_disks)
    yield made
    made.close()


def small_disks(hosts: Hosts) -> None:
    """Give each host's state a small disk of its own, but for the logs, which the witness reads."""
    for host in OTHER:
        state, logs = hosts.root / host, hosts.root / f"{host}.logs"
        for folder in (state, logs):
            folder.mkdir(mode=0o700)
        run("mount", "-t", "tmpfs", "-o", f"{DISK},mode=0700", "none", str(state))
        (state / "logs").mkdir(mode=0o700)
        run("mount", "--bind", str(logs), str(state / "logs"))


@contextlib.contextmanager
def full(state: Path, *, reserve: bool = True) -> Iterator[None]:
    """Fill the disk to its last byte; without ``reserve``, what was kept back goes first."""
    if not reserve:
        for kept in state.glob("*reserve*"):
            kept.unlink()
    filler = state / "filler"
    try:
        with filler.open("wb", buffering=0) as file:
            for size in (1 << 16, 1 << 9, 1):
                with contextlib.suppress(_NoSpace):
                    while True:
                        _write(file, size)
        yield
    finally:
        filler.unlink()


class _NoSpace(Exception):
    pass


def _write(file: object, size: int) -> None:
    try:
        if not file.write(bytes(size)):
            raise _NoSpace
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise _NoSpace from error


@pytest.mark.parametrize("end", ["source", "destination"])
def test_a_full_disk_before_the_move_leaves_the_guest_where_it_runs(stage: Stage, end: str) -> None:
    """Nothing was begun that could not be written down; with room again it moves."""

    def act(hosts: Hosts) -> None:
        source = hosts.owner()
        with full(hosts.root / (source if end == "source" else OTHER[source])):
            migration = hosts.move(source)
            hosts.until(
                lambda: (
                    hosts.ask(source, "GET", f"/v1/migrations/{migration}")["state"] == "failed"
                ),
                "the move is given up",
            )
            assert hosts.state(source) == "running"
            hosts.whole()
        expect(hosts, End.STAYS, source)
        hosts.move(source)
        expect(hosts, End.ARRIVES, source)

    stage.play(act)


def test_a_disk_that_fills_up_at_the_release_has_room_for_it(stage: Stage) -> None:
    """On both ends: what was kept back at PREPARE is enough for the end of the move."""

    def act(hosts: Hosts) -> None:
        source = hosts.owner()
        with contextlib.ExitStack() as filled:
            with at(hosts, "completed-not-released", source):
                for host in OTHER:
                    filled.enter_context(full(hosts.root / host))
            hosts.until(lambda: hosts.state(OTHER[source]) == "running", "it runs over there")
        expect(hosts, End.ARRIVES, source)

    stage.play(act)


def test_a_release_on_a_disk_without_any_room_leaves_one_whole_guest(stage: Stage) -> None:
    """Even what was kept back is gone: whether the row still fits or not, it says who may run."""

    def act(hosts: Hosts) -> None:
        source = hosts.owner()
        with contextlib.ExitStack() as filled:
            with at(hosts, "completed-not-released", source):
                filled.enter_context(full(hosts.root / source, reserve=False))
            time.sleep(STOPPED_SECONDS)
        expect(hosts, End.EITHER, source)

    stage.play(act)

"""One actor a domain."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from domwarden.contract import ConflictError
from domwarden.journal.holder import holder_of
from domwarden.journal.lock import DomainLock


def test_a_domain_has_one_actor(tmp_path: Path) -> None:
    """The second one is refused until the first lets go; other domains are free."""
    with DomainLock(tmp_path, "web1"):
        with pytest.raises(ConflictError, match="web1"):
            DomainLock(tmp_path, "web1").acquire()
        with DomainLock(tmp_path, "web2"):
            pass
    with DomainLock(tmp_path, "web1") as lock:
        assert lock.held


def test_whoever_only_looks_takes_and_makes_nothing(tmp_path: Path) -> None:
    """A name that nobody acted on leaves no file behind."""
    lock = DomainLock(tmp_path, "web1")
    assert not lock.taken()
    assert list(tmp_path.iterdir()) == []
    with DomainLock(tmp_path, "web1"):
        assert lock.taken()
    assert not lock.taken()


def test_a_dead_actor_holds_nothing(tmp_path: Path) -> None:
    """The kernel lets go of the lock of a killed process."""
    code = (
        "import os, pathlib, sys; from domwarden.journal.lock import DomainLock;"
        "DomainLock(pathlib.Path(sys.argv[1]), 'web1').acquire(); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False, timeout=60)
    with DomainLock(tmp_path, "web1"):
        pass


def test_a_started_process_does_not_inherit_the_lock(tmp_path: Path) -> None:
    """A hypervisor that outlives its starter must not hold its domain."""
    lock = DomainLock(tmp_path, "web1")
    lock.acquire()
    child = subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, close_fds=False
    )
    try:
        lock.release()
        with DomainLock(tmp_path, "web1"):
            pass
    finally:
        child.communicate(b"\n", timeout=60)


def test_who_holds_a_lock_can_be_told(tmp_path: Path) -> None:
    """With pid and command line, as long as it holds it."""
    lock = DomainLock(tmp_path, "web1")
    assert holder_of(lock.path) is None
    with lock:
        holder = holder_of(lock.path)
        assert holder is not None
        assert holder.pid == os.getpid()
        assert f"process {os.getpid()} (" in str(holder)
    assert holder_of(lock.path) is None

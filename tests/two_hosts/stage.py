"""A thread with mounts of its own, in which two hosts live from test to test."""

from __future__ import annotations

import concurrent.futures
import ctypes
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from domwarden.testing.namespace import CLONE_NEWNS
from domwarden.testing.require import absent, program

from .hosts import Hosts
from .wire import run, wired

ResultT = TypeVar("ResultT")


class Stage:
    """Gives each test two hosts with the guest on one: those of the test before, if it passed.

    Everything that a test does to them runs in one thread: what that starts is born in its mounts.
    """

    def __init__(
        self, new_folder: Callable[[], Path], prepare: Callable[[Hosts], None] = lambda _: None
    ) -> None:
        if os.geteuid() != 0:
            absent("qemu", "network namespaces need root")
        for name in ("ip", "tc", "mount"):
            program("qemu", name)
        self._new_folder = new_folder
        self._prepare = prepare
        self._thread = concurrent.futures.ThreadPoolExecutor(1, "hosts")
        self._hosts: Hosts | None = None

    def play(self, act: Callable[[Hosts], ResultT], *, seconds: float = 300.0) -> ResultT:
        """Run an act; hosts in which one failed are ended."""
        return self._thread.submit(self._act, act).result(seconds)

    def _act(self, act: Callable[[Hosts], ResultT]) -> ResultT:
        if self._hosts is None:
            self._hosts = self._made()
        try:
            played = act(self._hosts)
        except BaseException:
            self._end()
            raise
        if self._hosts.spent:
            self._end()
        return played

    def _made(self) -> Hosts:
        if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS):
            absent("qemu", f"no mounts of our own: {os.strerror(ctypes.get_errno())}")
        run("mount", "--make-rprivate", "/")
        hosts = Hosts(self._new_folder(), wired())
        try:
            hosts.write()
            self._prepare(hosts)
            for host in "ab":
                hosts.serve(host)
            hosts.boot("a")
        except BaseException:
            hosts.end()
            raise
        return hosts

    def _end(self) -> None:
        if self._hosts is not None:
            self._hosts.end()
            self._hosts = None

    def close(self) -> None:
        """End what is left."""
        self._thread.submit(self._end).result(60)
        self._thread.shutdown()

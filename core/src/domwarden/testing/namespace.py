"""A network, or a tree of mounts, that a test has for itself; it ends with the test."""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import subprocess
import threading
from collections.abc import Awaitable, Callable
from typing import Any

from domwarden.testing.require import absent, program

#: linux/sched.h
CLONE_NEWNET = 0x4000_0000
CLONE_NEWNS = 0x0002_0000


def in_own_network(test: Callable[[], Awaitable[None]], limit_seconds: float = 60.0) -> None:
    """Run a coroutine in a thread that alone has moved into a new network namespace.

    What it starts is born there: a child process belongs to the namespace of its thread. Where
    none can be made, the calling pytest test is skipped, or fails if it is required.
    """
    if os.geteuid() != 0:
        absent("root", "bridges and taps need root")
    program("iproute2", "ip")
    _in_own(CLONE_NEWNET, test, limit_seconds)


def in_own_mounts(test: Callable[[], Awaitable[None]], limit_seconds: float = 60.0) -> None:
    """Run a coroutine in a thread whose mounts are seen by it and its children only.

    Where that cannot be, the calling pytest test is skipped, or fails if it is required.
    """
    if os.geteuid() != 0:
        absent("root", "mounts need root")
    program("mount", "mount")

    async def apart() -> None:
        # What is mounted below a shared mount would be mounted for everybody.
        private = ("mount", "--make-rprivate", "/")
        process = await asyncio.create_subprocess_exec(*private)
        assert await process.wait() == 0
        await test()

    _in_own(CLONE_NEWNS, apart, limit_seconds)


def _in_own(flag: int, test: Callable[[], Awaitable[None]], limit_seconds: float) -> None:
    failures: list[BaseException] = []

    async def bounded() -> None:
        async with asyncio.timeout(limit_seconds):
            await test()

    def run() -> None:
        try:
            if ctypes.CDLL(None, use_errno=True).unshare(flag):
                failures.append(_NoNamespaceError(os.strerror(ctypes.get_errno())))
                return
            asyncio.run(bounded())
        except BaseException as error:  # noqa: BLE001 - raised again in the test's own thread
            failures.append(error)

    thread = threading.Thread(target=run, name="own-namespace")
    thread.start()
    thread.join(limit_seconds + 60)
    assert not thread.is_alive()
    if failures and isinstance(failures[0], _NoNamespaceError):
        absent("namespaces", f"no new network namespace: {failures[0]}")
    if failures:
        raise failures[0]


class _NoNamespaceError(Exception):
    """The kernel gives no new namespace."""


def ip(*arguments: str) -> Any:
    """Run iproute2's ``ip`` in the calling thread's namespace; returns what it says as JSON."""
    done = subprocess.run(
        ["ip", "-json", *arguments], check=True, timeout=10, capture_output=True, text=True
    )
    return json.loads(done.stdout or "[]")

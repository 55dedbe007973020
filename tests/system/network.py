"""A network namespace of a test's own, where bridges and taps are nobody else's."""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Awaitable, Callable
from typing import Any

CLONE_NEWNET = 0x4000_0000


def in_own_network(test: Callable[[bool], Awaitable[None]], *, seconds: float) -> None:
    """Run a coroutine in a thread of its own network namespace; what it starts is born there.

    It is told whether there is such a namespace: without root there is none, and no bridge.
    """
    failures: list[BaseException] = []

    async def bounded(own: bool) -> None:
        async with asyncio.timeout(seconds):
            await test(own)

    def run() -> None:
        try:
            asyncio.run(bounded(_unshared()))
        except BaseException as error:  # noqa: BLE001 - raised again in the test's own thread
            failures.append(error)

    thread = threading.Thread(target=run, name="own-network")
    thread.start()
    thread.join(seconds + 60)
    assert not thread.is_alive()
    if failures:
        raise failures[0]


def _unshared() -> bool:
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return False
    return ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) == 0


def make_bridge(name: str) -> None:
    _ip("link", "add", name, "type", "bridge")
    _ip("link", "set", name, "up")


def taps(bridge: str) -> list[str]:
    """Return the interfaces that are joined to a bridge."""
    return [link["ifname"] for link in _ip("link", "show", "master", bridge)]


def _ip(*arguments: str) -> Any:
    done = subprocess.run(
        ["ip", "-json", *arguments], check=True, timeout=10, capture_output=True, text=True
    )
    return json.loads(done.stdout or "[]")

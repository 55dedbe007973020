"""A network namespace that a test makes for itself; it ends with the test."""

import asyncio
import ctypes
import os
import shutil
import subprocess
import threading
from collections.abc import Awaitable, Callable

from domwarden.testing.require import absent

CLONE_NEWNET = 0x4000_0000


def in_own_network(test: Callable[[], Awaitable[None]], limit_seconds: float = 60.0) -> None:
    """Run a coroutine in a thread that alone has moved into a new network namespace.

    What it starts is born there: a child process belongs to the namespace of its thread.
    """
    if os.geteuid() != 0:
        absent("root", "bridges and taps need root")
    if shutil.which("ip") is None:
        absent("iproute2", "ip is not installed")
    failures: list[BaseException] = []

    async def bounded() -> None:
        async with asyncio.timeout(limit_seconds):
            await test()

    def run() -> None:
        try:
            libc = ctypes.CDLL(None, use_errno=True)
            if libc.unshare(CLONE_NEWNET):
                code = ctypes.get_errno()
                failures.append(PermissionError(code, os.strerror(code)))
                return
            asyncio.run(bounded())
        except BaseException as error:  # noqa: BLE001 - raised again in the test's own thread
            failures.append(error)

    thread = threading.Thread(target=run, name="own-network")
    thread.start()
    thread.join(limit_seconds + 10)
    assert not thread.is_alive()
    if failures and isinstance(failures[0], PermissionError):
        absent("netns", f"no new network namespace: {failures[0]}")
    if failures:
        raise failures[0]


def ip(*arguments: str) -> None:
    """Change interfaces in the calling thread's namespace."""
    subprocess.run(["ip", *arguments], check=True, timeout=10, capture_output=True)

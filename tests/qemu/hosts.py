"""Two hosts as their files describe them, with the test guest as a domain file describes it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from domwarden.config import load_domain, load_host
from domwarden.contract import ConflictError, PermanentError
from domwarden.testing.console import Console
from domwarden.warden import Warden

from .lab import NAME, guest

PEERS = {"a": "b", "b": "a"}


def write_host(root: Path, host: str, **drivers: Mapping[str, Any]) -> None:
    """Write a host's file; its peer is the other one."""
    peer = PEERS[host]
    text = {
        "host": host,
        "state": host,
        "peers": {peer: {"config": f"{peer}.yaml"}},
        # TCG everywhere: what holds here holds on any machine.
        "drivers": {"qemu": {"accel": "tcg"}, **drivers},
    }
    (root / f"{host}.yaml").write_text(yaml.safe_dump(text))


def write_domain(root: Path, devices: Mapping[str, Mapping[str, Any]], **more: Any) -> None:
    """Write the file of a guarded domain with the test guest in it."""
    made = guest()
    text = {
        "domain": NAME,
        "engine": "qemu",
        "memory": "192MiB",
        "boot": {"kernel": str(made.kernel), "cmdline": made.cmdline},
        "watchdog": {"driver": "i6300esb", "timeout": "30s"},
        "devices": dict(devices),
        **more,
    }
    (root / f"{NAME}.yaml").write_text(yaml.safe_dump(text))


def warden_of(root: Path, host: str) -> Warden:
    """Return a host's warden, which reads its file now; enter it."""
    return Warden(load_host(root / f"{host}.yaml"))


@contextlib.asynccontextmanager
async def started(root: Path) -> AsyncIterator[Warden]:
    """Start the guest on host ``a``; whatever is left is stopped afterwards."""
    async with warden_of(root, "a") as made:
        try:
            await made.start(load_domain(root / f"{NAME}.yaml"))
            async with shell(root, "a", seconds=90.0):
                pass  # it has booted
            yield made
        finally:
            for host in PEERS:
                await _stopped(root, host)


async def _stopped(root: Path, host: str) -> None:
    """Stop whatever is on a host, even if a test failed while somebody else acted on it."""
    async with asyncio.timeout(60), warden_of(root, host) as one:
        while True:
            try:
                await one.stop(NAME)
            except ConflictError:
                await asyncio.sleep(0.2)
            except PermanentError:
                return  # it is not there
            else:
                return


@contextlib.asynccontextmanager
async def shell(root: Path, host: str, *, seconds: float = 30.0) -> AsyncIterator[Console]:
    """Enter the guest's console on a host once its shell answers there."""
    path = root / host / "domains" / NAME / "qemu" / "console"
    async with await Console.connect(path) as console:
        await console.wait_ready(timeout_seconds=seconds)
        yield console


async def answers(root: Path, host: str) -> None:
    """See the guest's shell answer on a host."""
    async with shell(root, host):
        pass

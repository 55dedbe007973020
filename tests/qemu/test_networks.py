"""A real guest's network card goes from one host's bridge to another's."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from domwarden.config import load_domain, load_host
from domwarden.contract import PermanentError, RefusedError
from domwarden.testing.console import Console
from domwarden.testing.require import absent
from domwarden.warden import Warden

from .lab import NAME, guest

pytestmark = [pytest.mark.live]

MAC = "52:54:00:12:34:56"
CLONE_NEWNET = 0x4000_0000
ETH_P_RARP = 0x8035


def _in_own_network(test: Callable[[], Awaitable[None]]) -> None:
    """Run a coroutine in a thread of its own network namespace; what it starts is born there."""
    if os.geteuid() != 0:
        absent("root", "bridges and taps need root")
    if shutil.which("ip") is None:
        absent("iproute2", "ip is not installed")
    failures: list[BaseException] = []

    async def bounded() -> None:
        async with asyncio.timeout(240):
            await test()

    def run() -> None:
        try:
            if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET):
                raise PermissionError(ctypes.get_errno(), "no new network namespace")
            asyncio.run(bounded())
        except BaseException as error:  # noqa: BLE001 - raised again in the test's own thread
            failures.append(error)

    thread = threading.Thread(target=run, name="own-network")
    thread.start()
    thread.join(300)
    assert not thread.is_alive()
    if failures and isinstance(failures[0], PermissionError):
        absent("netns", str(failures[0]))
    if failures:
        raise failures[0]


def _ip(*arguments: str) -> Any:
    done = subprocess.run(
        ["ip", "-json", *arguments], check=True, timeout=10, capture_output=True, text=True
    )
    return json.loads(done.stdout or "[]")


def _make_bridge(name: str) -> None:
    _ip("link", "add", name, "type", "bridge")
    _ip("link", "set", name, "up")


def _taps(bridge: str) -> list[str]:
    return [link["ifname"] for link in _ip("link", "show", "master", bridge)]


def _write(root: Path) -> None:
    """Write two hosts, of which the second calls the bridge otherwise, and a domain on it."""
    made = guest()
    for host, peer, bridges in (("a", "b", {}), ("b", "a", {"br0": "br-lan"})):
        text = {
            "host": host,
            "state": host,
            "peers": {peer: {"config": f"{peer}.yaml"}},
            "drivers": {"qemu": {"accel": "tcg"}, "net": {"bridges": bridges}},
        }
        (root / f"{host}.yaml").write_text(yaml.safe_dump(text))
    domain = {
        "domain": NAME,
        "engine": "qemu",
        "memory": "192MiB",
        "boot": {"kernel": str(made.kernel), "cmdline": made.cmdline},
        "devices": {"eth0": {"driver": "net", "bridge": "br0", "mac": MAC}},
    }
    (root / "web1.yaml").write_text(yaml.safe_dump(domain))


@contextlib.asynccontextmanager
async def _started(root: Path) -> AsyncIterator[Warden]:
    _write(root)
    async with Warden(load_host(root / "a.yaml")) as warden:
        try:
            await warden.start(load_domain(root / "web1.yaml"))
            await _answers(root, "a")
            yield warden
        finally:
            for host in "ab":
                async with Warden(load_host(root / f"{host}.yaml")) as one:
                    with contextlib.suppress(PermanentError):
                        await one.stop(NAME)


async def _answers(root: Path, host: str) -> None:
    path = root / host / "domains" / NAME / "qemu" / "console"
    async with await Console.connect(path) as console:
        await console.wait_ready(timeout_seconds=90.0)


def test_the_card_is_refused_without_its_bridge_then_moves_and_is_announced(
    tmp_path: Path,
) -> None:
    """One tap at a time: the source's goes when the domain has gone."""

    async def test() -> None:
        _make_bridge("br0")
        async with _started(tmp_path) as warden:
            assert len(_taps("br0")) == 1
            with pytest.raises(RefusedError) as refused:
                await warden.migrate(NAME, "b")
            (refusal,) = refused.value.refusals
            assert (refusal.code, refusal.device, refusal.host) == ("no-bridge", "eth0", "b")
            _make_bridge("br-lan")
            with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
                wire.bind(("br-lan", ETH_P_RARP))
                wire.setblocking(False)
                moved = await warden.migrate(NAME, "b")
                assert moved.alarms == ()
                loop = asyncio.get_running_loop()
                async with asyncio.timeout(20):
                    frame = await loop.sock_recv(wire, 2000)
            assert frame[6:12].hex(":") == MAC
            assert (len(_taps("br0")), len(_taps("br-lan"))) == (0, 1)
            await _answers(tmp_path, "b")
        assert _taps("br-lan") == []

    _in_own_network(test)

"""A real guest's network card goes from one host's bridge to another's."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from domwarden.contract import RefusedError
from domwarden.testing.namespace import in_own_network, ip

from .hosts import answers, started, write_domain, write_host
from .lab import NAME

pytestmark = [pytest.mark.live]

MAC = "52:54:00:12:34:56"
ETH_P_RARP = 0x8035


def _make_bridge(name: str) -> None:
    ip("link", "add", name, "type", "bridge")
    ip("link", "set", name, "up")


def _taps(bridge: str) -> list[str]:
    return [link["ifname"] for link in ip("link", "show", "master", bridge)]


def _write(root: Path) -> None:
    """Write two hosts, of which the second calls the bridge otherwise, and a domain on it."""
    write_host(root, "a", net={"bridges": {}})
    write_host(root, "b", net={"bridges": {"br0": "br-lan"}})
    write_domain(root, {"eth0": {"driver": "net", "bridge": "br0", "mac": MAC}})


def test_the_card_is_refused_without_its_bridge_then_moves_and_is_announced(
    tmp_path: Path,
) -> None:
    """One tap at a time: the source's goes when the domain has gone."""

    async def test() -> None:
        _make_bridge("br0")
        _write(tmp_path)
        async with started(tmp_path) as warden:
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
            await answers(tmp_path, "b")
        assert _taps("br-lan") == []

    in_own_network(test, limit_seconds=240.0)

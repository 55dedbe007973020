"""Two QEMU hosts that share nothing but a command and a TCP port."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml

from domwarden.contract import RunState

from .hosts import PEERS, answers, shell, started, warden_of, write_domain
from .lab import NAME

pytestmark = [pytest.mark.live]

#: Whichever of them is free.
PORTS = [49152, 49215]


def _write_host(root: Path, host: str) -> None:
    peer = PEERS[host]
    command = [sys.executable, "-m", "domwarden", "peer", "-H", str(root / f"{peer}.yaml")]
    text = {
        "host": host,
        "state": host,
        "peers": {peer: {"command": command}},
        "drivers": {
            "qemu": {"accel": "tcg", "listen": "127.0.0.1", "migration_ports": PORTS},
        },
    }
    (root / f"{host}.yaml").write_text(yaml.safe_dump(text))


async def test_a_guest_moves_to_a_peer_behind_a_command_and_back(tmp_path: Path) -> None:
    """Its counter counts on, its watchdog stays armed, and nothing of it is left behind."""
    for host in PEERS:
        _write_host(tmp_path, host)
    write_domain(tmp_path, {"eth0": {"driver": "net", "mode": "user"}})
    async with started(tmp_path) as here:
        async with shell(tmp_path, "a") as console:
            await console.command("count start -")
        moved = await here.migrate(NAME, "b")
        assert moved.alarms == ()
        assert moved.blackout_seconds is not None
        async with shell(tmp_path, "b") as console:
            assert int(await console.command("count stop")) > 0
        async with warden_of(tmp_path, "b") as there:
            (status,) = await there.status(NAME)
            assert (status.state, status.epoch) == (RunState.RUNNING, 2)
            await there.migrate(NAME, "a")
        await answers(tmp_path, "a")
        (status,) = await here.status(NAME)
        assert (status.state, status.epoch) == (RunState.RUNNING, 3)

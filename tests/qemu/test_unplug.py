"""Devices that no stream can carry leave a real guest for its move, and come back after it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from domwarden.config import load_domain, load_host
from domwarden.contract import Host, PermanentError, QemuControl, RefusedError, RunState
from domwarden.migration import MoveFailedError, Outcome
from domwarden.testing.console import Console
from domwarden.warden import Warden
from domwarden_qemu import QemuEngine

from .lab import NAME, guest

pytestmark = [pytest.mark.live, pytest.mark.time_limit(240)]


def _write(root: Path, on_migrate: str) -> None:
    """Write two hosts, and a domain with an NVMe disk, a media player and a network card."""
    made = guest()
    (root / "media").mkdir()
    for host, peer in ("ab", "ba"):
        text = {
            "host": host,
            "state": host,
            "peers": {peer: {"config": f"{peer}.yaml"}},
            "drivers": {"qemu": {"accel": "tcg"}},
        }
        (root / f"{host}.yaml").write_text(yaml.safe_dump(text))
    media = {"rootdir": str(root / "media")}
    domain = {
        "domain": NAME,
        "engine": "qemu",
        "memory": "192MiB",
        "boot": {"kernel": str(made.kernel), "cmdline": made.cmdline},
        "watchdog": {"driver": "i6300esb", "timeout": "30s"},
        "devices": {
            "fast": {
                "driver": "pci",
                "model": "nvme",
                "properties": {"serial": "1"},
                "on_migrate": on_migrate,
            },
            "player": {
                "driver": "usb",
                "model": "usb-mtp",
                "properties": media,
                "on_migrate": on_migrate,
            },
            "eth0": {"driver": "net", "mode": "user"},
        },
    }
    (root / "web1.yaml").write_text(yaml.safe_dump(domain))


@contextlib.asynccontextmanager
async def _started(root: Path, on_migrate: str = "unplug") -> AsyncIterator[Warden]:
    """Start the guest on host a; whatever is left is stopped afterwards."""
    _write(root, on_migrate)
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


async def _ask(root: Path, host: str, command: str, **arguments: Any) -> Any:
    engine = QemuEngine(Host(host, root / host, {"qemu": {"accel": "tcg"}}))
    control = cast("QemuControl", engine.control(NAME, QemuControl))
    return await control.execute(command, arguments)


async def _plugged(root: Path, host: str) -> dict[str, Any]:
    """Return where each PCI card of the domain's devices is, and None for the USB device."""
    listed = await _ask(root, host, "qom-list", path="/machine/peripheral")
    names = {entry["name"] for entry in listed} & {"fast", "player", "player-bus", "eth0"}
    places = {name: await _place(root, host, name) for name in names - {"player"}}
    return places | dict.fromkeys(names & {"player"})


async def _place(root: Path, host: str, device: str) -> Any:
    return await _ask(root, host, "qom-get", path=f"/machine/peripheral/{device}", property="addr")


async def test_the_devices_are_in_their_places_again_over_there(tmp_path: Path) -> None:
    """Also the network card has its MAC; and the same once more on the way back."""
    async with _started(tmp_path) as warden:
        before = await _plugged(tmp_path, "a")
        assert set(before) == {"fast", "player", "player-bus", "eth0"}
        mac = {"path": "/machine/peripheral/eth0", "property": "mac"}
        address = await _ask(tmp_path, "a", "qom-get", **mac)
        assert address.startswith("52:54:00:")
        moved = await warden.migrate(NAME, "b")
        assert moved.alarms == ()
        await _answers(tmp_path, "b")
        assert await _plugged(tmp_path, "b") == before
        assert await _ask(tmp_path, "b", "qom-get", **mac) == address
        async with Warden(load_host(tmp_path / "b.yaml")) as other:
            assert (await other.migrate(NAME, "a")).alarms == ()
        assert await _plugged(tmp_path, "a") == before


async def test_without_the_option_both_refuse_and_nothing_is_unplugged(tmp_path: Path) -> None:
    """Each with a reason and a remedy, in one answer, beside QEMU's own words."""
    async with _started(tmp_path, "refuse") as warden:
        with pytest.raises(RefusedError) as refused:
            await warden.migrate(NAME, "b")
        codes = {refusal.code for refusal in refused.value.refusals}
        assert {"pci-device", "usb-device", "device-state"} <= codes
        assert all(refusal.remedy for refusal in refused.value.refusals)
        assert {"fast", "player"} <= set(await _plugged(tmp_path, "a"))


async def test_a_save_is_made_without_them_and_its_restore_has_them(tmp_path: Path) -> None:
    """The guest goes on with every device in its place."""
    async with _started(tmp_path) as warden:
        before = await _plugged(tmp_path, "a")
        await warden.save(NAME, tmp_path / "saved")
        async with Warden(load_host(tmp_path / "a.yaml")) as again:
            await again.restore(tmp_path / "saved")
        await _answers(tmp_path, "a")
        assert await _plugged(tmp_path, "a") == before


async def test_a_move_that_fails_plugs_the_devices_back_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process that drives the move is killed when the stream has arrived."""
    async with _started(tmp_path) as warden:
        before = await _plugged(tmp_path, "a")
        monkeypatch.setenv("DOMWARDEN_CRASH_AT", "received-not-ready")
        with pytest.raises(MoveFailedError) as failed:
            await warden.migrate(NAME, "b")
        monkeypatch.delenv("DOMWARDEN_CRASH_AT")
        assert failed.value.settled.outcome is Outcome.RESUMED
        (status,) = await warden.status(NAME)
        assert status.state is RunState.RUNNING
        await _answers(tmp_path, "a")
        assert await _plugged(tmp_path, "a") == before

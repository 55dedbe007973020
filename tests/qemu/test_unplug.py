"""Devices that no stream can carry leave a real guest for its move, and come back after it."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, cast

import pytest

from domwarden.contract import Host, QemuControl, RefusedError, RunState
from domwarden.migration import MoveFailedError, Outcome
from domwarden.warden import Warden
from domwarden_qemu import QemuEngine

from .hosts import answers, started, warden_of, write_domain, write_host
from .lab import NAME

pytestmark = [pytest.mark.live, pytest.mark.time_limit(240)]


def _write(root: Path, on_migrate: str) -> None:
    """Write two hosts, and a domain with an NVMe disk, a media player and a network card."""
    (root / "media").mkdir()
    for host in "ab":
        write_host(root, host)
    entry = {"driver": "pci", "model": "nvme", "properties": {"serial": "1"}}
    player = {"driver": "usb", "model": "usb-mtp", "properties": {"rootdir": str(root / "media")}}
    devices = {
        "fast": {**entry, "on_migrate": on_migrate},
        "player": {**player, "on_migrate": on_migrate},
        "eth0": {"driver": "net", "mode": "user"},
    }
    write_domain(root, devices)


def _started(root: Path, on_migrate: str = "unplug") -> AbstractAsyncContextManager[Warden]:
    _write(root, on_migrate)
    return started(root)


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
        await answers(tmp_path, "b")
        assert await _plugged(tmp_path, "b") == before
        assert await _ask(tmp_path, "b", "qom-get", **mac) == address
        async with warden_of(tmp_path, "b") as other:
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
        async with warden_of(tmp_path, "a") as again:
            await again.restore(tmp_path / "saved")
        await answers(tmp_path, "a")
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
        await answers(tmp_path, "a")
        assert await _plugged(tmp_path, "a") == before

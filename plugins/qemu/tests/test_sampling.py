"""A look at the watchdog's timer costs no guest its life."""

from __future__ import annotations

import asyncio
from pathlib import Path

from domwarden.contract import Armed
from domwarden_qemu.control import Control
from domwarden_qemu.files import Files
from domwarden_qemu.monitor import Monitor
from domwarden_qemu.sampling import Samples, read

from .fake_qmp import FakeQmp
from .rooms import host


async def test_no_device_is_plugged_in_between_the_question_and_the_save(tmp_path: Path) -> None:
    """QEMU 7.2 crashes when it saves a device without a state, such as one that came just now."""
    files = Files(host(tmp_path), "web1")
    files.create()
    control, move = Monitor(files.control, "web1"), Monitor(files.move, "web1")
    plugs: list[asyncio.Task[object]] = []

    def plug_now(_arguments: object) -> dict[str, str]:
        handle = Control(control, move)
        plugs.append(asyncio.create_task(handle.execute("device_add", {"driver": "nvme"})))
        return {"status": "running"}

    async with FakeQmp().serve(files.control) as qemu:
        qemu.answers["query-migrate"] = {}
        qemu.answers["query-status"] = plug_now
        qemu.answers["xen-save-devices-state"] = _save_to
        reading = await read(files, control, Samples())
        await asyncio.gather(*plugs)
        await control.aclose()
    assert reading.armed is Armed.UNKNOWN
    assert qemu.commands()[-2:] == ["xen-save-devices-state", "device_add"]


async def test_a_guest_with_a_device_that_cannot_be_saved_is_not_looked_at(tmp_path: Path) -> None:
    """What QEMU has against a move is asked first."""
    files = Files(host(tmp_path), "web1")
    files.create()
    control = Monitor(files.control, "web1")
    async with FakeQmp().serve(files.control) as qemu:
        qemu.answers["query-migrate"] = {"blocked-reasons": ["non-migratable device"]}
        qemu.answers["query-status"] = {"status": "running"}
        reading = await read(files, control, Samples())
        await control.aclose()
    assert reading.armed is Armed.UNKNOWN
    assert "xen-save-devices-state" not in qemu.commands()


def _save_to(arguments: dict[str, str]) -> dict[str, str]:
    Path(arguments["filename"]).write_bytes(b"")
    return {}

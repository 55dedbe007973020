"""Devices of real QEMUs: those that block a move are named, and may be unplugged for it."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path
from typing import cast

import pytest

from domwarden.contract import Host, QemuArgument, QemuControl, RunState
from domwarden.testing.console import Console
from domwarden_qemu import QemuEngine

from .lab import CARD, MOVE, NAME, FixedRoom, booted, definition, ignore, lab

pytestmark = [pytest.mark.live, pytest.mark.time_limit(180)]


def _nvme(image: Path) -> list[QemuArgument]:
    with image.open("wb") as file:
        file.truncate(2**20)
    node = {"driver": "file", "filename": str(image), "node-name": "fast"}
    card = {"driver": "nvme", "id": "fast", "drive": "fast", "serial": "1"}
    return [QemuArgument("blockdev", node), QemuArgument("device", card)]


async def test_a_device_without_migration_is_refused_by_its_own_name(tmp_path: Path) -> None:
    async with lab(tmp_path) as made:
        made.room = FixedRoom({"watchdog": [CARD], "fast": _nvme(tmp_path / "nvme")})
        live = await made.boot(definition())
        (refusal,) = await made.engine("a").outgoing(live, MOVE).blockers()
        assert refusal.device == "fast"
        assert "nvme" in refusal.reason
        assert "unplug" in refusal.remedy


async def test_any_slot_is_hot_pluggable_by_acpi(tmp_path: Path) -> None:
    """What ``on_migrate: unplug`` needs of the machine: the default one gives it to every card."""
    async with lab(tmp_path) as made:
        made.room = FixedRoom({"watchdog": [CARD], "fast": _nvme(tmp_path / "nvme")})
        live = await made.boot(definition())
        engine = made.engine("a")
        control = cast("QemuControl", engine.control(NAME, QemuControl))
        async with asyncio.timeout(30), control.events("DEVICE_DELETED") as events:
            await control.execute("device_del", {"id": "fast"})
            async for event in events:
                if event["data"].get("device") == "fast":
                    break
        assert await engine.outgoing(live, MOVE).blockers() == []


async def test_a_move_over_loopback_tcp_is_the_hosts_choice(tmp_path: Path) -> None:
    async with booted(tmp_path) as (made, live):
        settings = {"qemu": {"accel": "tcg", "listen": "127.0.0.1"}}
        there = QemuEngine(Host("b", tmp_path / "b", settings))
        incoming = there.incoming(NAME, MOVE)
        address = await incoming.listen(live, made.room)
        assert address["tcp"]["host"] == "127.0.0.1"
        outgoing = made.engine("a").outgoing(live, MOVE)
        await outgoing.precopy(address, ignore)
        await outgoing.complete(ignore)
        await incoming.received()
        await incoming.activate(run=True)
        assert await made.state("b") == RunState.RUNNING
        async with await Console.connect(made.console("b")) as console:
            await console.wait_ready()


async def test_two_processors_move_too(tmp_path: Path) -> None:
    async with lab(tmp_path) as made:
        live = await made.boot(dataclasses.replace(definition(), vcpus=2))
        incoming = made.engine("b").incoming(NAME, MOVE)
        outgoing = made.engine("a").outgoing(live, MOVE)
        await outgoing.precopy(await incoming.listen(live, made.room), ignore)
        await outgoing.complete(ignore)
        await incoming.received()
        await incoming.activate(run=True)
        await made.answers("b")

"""Block devices that two hosts share, known by their hardware's name."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import pytest

from domwarden.contract import End
from domwarden.testing.sides import codes, pair
from domwarden_blk import shared
from domwarden_blk.image import Image
from domwarden_blk.shared import Shared
from domwarden_blk.wwn import world_wide_name

from .helpers import Side, host

NUMBER = os.makedev(8, 1)
WWID = "naa.600508b1001c4f0a"


def sysfs(root: Path, *, partition: str = "", wwid: str = WWID, place: str = "device/wwid") -> Path:
    """A kernel's view of one disk sda with one partition sda1."""
    disk = root / "devices/pci0/block/sda"
    device = disk / "sda1" if partition else disk
    device.mkdir(parents=True)
    if partition:
        (device / "partition").write_text(f"{partition}\n")
    if wwid:
        (disk / place).parent.mkdir(parents=True, exist_ok=True)
        (disk / place).write_text(f"{wwid}\n")
    numbers = root / "dev/block"
    numbers.mkdir(parents=True)
    (numbers / "8:1").symlink_to(device)
    return root


@pytest.mark.parametrize("place", ["wwid", "device/wwid", "dm/uuid"])
def test_a_disk_has_its_world_wide_name(tmp_path: Path, place: str) -> None:
    """NVMe, SCSI and device-mapper keep it in different files."""
    assert world_wide_name(NUMBER, sysfs=sysfs(tmp_path, place=place)) == WWID


def test_a_partition_is_its_disk_and_its_number(tmp_path: Path) -> None:
    """Two partitions of one disk are two images."""
    assert world_wide_name(NUMBER, sysfs=sysfs(tmp_path, partition="3")) == f"{WWID}#3"


def test_no_hardware_name_is_no_name(tmp_path: Path) -> None:
    """A serial number or a device's path would be a guess."""
    assert world_wide_name(NUMBER, sysfs=sysfs(tmp_path, wwid="")) == ""
    assert world_wide_name(os.makedev(8, 2), sysfs=tmp_path) == ""


class Ends:
    def __init__(self, directory: Path, wwid_a: str, wwid_b: str) -> None:
        options = {"source": "/dev/sda1", "placement": "shared"}
        self.source = Side(End.SOURCE, host(directory, "a"), options)
        self.target = Side(End.DESTINATION, host(directory, "b"), options)
        pair(self.source, self.target)
        self._sysfs = {
            self.source: sysfs(directory / "sys-a", wwid=wwid_a),
            self.target: sysfs(directory / "sys-b", wwid=wwid_b),
        }

    async def test(self) -> list[str]:
        for side, check in ((self.source, "check_source"), (self.target, "check_destination")):
            jobs = Shared(side.view, side.device.options, sysfs=self._sysfs[side])
            refusals = await side.run(_Job(getattr(jobs, check)))
            if refusals:
                return codes(refusals)
        return []


@dataclasses.dataclass
class _Job:
    run: Any


@pytest.fixture
def _devices(monkeypatch: pytest.MonkeyPatch) -> None:
    def seen(path: Path, *_args: object, **_named: object) -> Image:
        return Image(path, True, 2**30, 2**30, 5, 7, NUMBER)

    monkeypatch.setattr(shared, "look", seen)


@pytest.mark.usefixtures("_devices")
async def test_one_name_on_both_hosts_is_one_device(tmp_path: Path) -> None:
    """The hardware's word suffices."""
    assert await Ends(tmp_path, WWID, WWID).test() == []


@pytest.mark.usefixtures("_devices")
async def test_two_hardware_names_are_two_devices(tmp_path: Path) -> None:
    """Although both hosts call it /dev/sda1."""
    assert await Ends(tmp_path, WWID, "naa.5").test() == ["not-the-same-image"]


@pytest.mark.usefixtures("_devices")
async def test_a_device_without_a_name_is_refused(tmp_path: Path) -> None:
    """Nothing proves that the other host sees it."""
    assert await Ends(tmp_path, "", "").test() == ["no-wwn"]

"""Disks in real moves between two embedded hosts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from domwarden.testing.devices import check_device
from domwarden.testing.journey import Journey
from domwarden.testing.ways import move_checks
from domwarden.testing.world import Device
from domwarden_blk import Blk

MIB = 2**20


class Disks:
    """One image on host a, and where it is on host b."""

    def __init__(self, directory: Path, **options: Any) -> None:
        self.placement = options["placement"]
        self.folders = {name: directory / name for name in ("a", "b")}
        for folder in self.folders.values():
            folder.mkdir(parents=True)
        self.image = self.folders["a"] / "disk.raw"
        self.image.write_bytes(bytes(MIB) + os.urandom(MIB))
        self.options = {"source": str(self.image), **options}
        if self.placement == "shared":
            self.folders["b"].rmdir()
            self.folders["b"].symlink_to(self.folders["a"])
        directories = {str(self.folders["a"]): str(self.folders["b"])}
        self.settings = {"b": {"blk": {"directories": directories}}}
        self.devices = {"root": Device("blk", Blk, self.options)}

    def on(self, host: str) -> Path:
        return self.folders[host] / self.image.name

    def settled(self, host: str | None) -> None:
        """Where the domain is, is its image; what moves make is gone, and nothing is lost."""
        for name, folder in self.folders.items():
            made = [entry.name for entry in folder.iterdir() if entry.name.startswith(".")]
            assert made == [], f"left on {name}"
        if host is not None:
            assert self.on(host).exists()
            if self.placement in ("mirror", "copy"):
                other = self.folders["b" if host == "a" else "a"]
                assert not (other / self.image.name).exists(), "two images have the domain's name"


@pytest.mark.parametrize(
    "options",
    [
        {"placement": "shared"},
        {"placement": "mirror"},
        {"placement": "mirror", "verify": True, "after": "delete"},
        {"placement": "copy"},
    ],
    ids=["shared", "mirror", "verified", "copy"],
)
@pytest.mark.parametrize("check", move_checks(), ids=lambda check: check.__name__)
async def test_disks_take_part_in_every_way_to_move(
    check: Any, options: dict[str, Any], move_world: Any, tmp_path: Path
) -> None:
    """Wherever a move succeeds, fails or dies, one good image is under the domain's name."""
    number = iter(range(100))

    def make() -> Any:
        disks = Disks(tmp_path / f"disks-{next(number)}", **options)
        return move_world(disks.devices, settings=disks.settings, settled=disks.settled)

    await check(make)


@pytest.mark.parametrize("how", [{"placement": "mirror", "verify": True}, {"placement": "copy"}])
async def test_what_the_guest_writes_during_the_copy_arrives(
    how: dict[str, Any], move_world: Any, tmp_path: Path
) -> None:
    """The counter's sector and every other byte are the same over there."""
    disks = Disks(tmp_path / "disks", **how)
    before = disks.image.read_bytes()
    async with move_world(disks.devices, settings=disks.settings, settled=disks.settled) as world:
        await world.start()
        await world.type("count start")
        await world.pass_seconds(3)
        moved = await world.migrate()
        assert moved.arrived, moved
        here = disks.on("b").read_bytes()
        assert here[512:] == before[512:]
        assert here[:512] != before[:512]
        await world.pass_seconds(3)
        assert disks.on("b").read_bytes()[:512] != here[:512]
        kept = [p for p in disks.folders["a"].iterdir() if ".moved-" in p.name]
        assert len(kept) == 1


async def test_a_local_disk_keeps_its_domain(move_world: Any, tmp_path: Path) -> None:
    """Every refusal says what to do."""
    disks = Disks(tmp_path / "disks", placement="local")
    async with move_world(disks.devices) as world:
        await world.start()
        refused = await world.migrate()
        assert refused.codes == ["local-disk"]
        assert "mirror" in refused.refusals[0].remedy


async def test_a_target_that_is_there_or_is_the_source_is_refused(
    move_world: Any, tmp_path: Path
) -> None:
    """Nothing is overwritten, and a shared image is not mirrored onto itself."""
    disks = Disks(tmp_path / "disks", placement="mirror")
    async with move_world(disks.devices) as world:  # without a mapping b has the same path
        await world.start()
        assert (await world.migrate()).codes == ["same-image"]
    async with move_world(disks.devices, settings=disks.settings) as world:
        await world.start()
        disks.on("b").write_bytes(b"precious")
        assert (await world.migrate()).codes == ["target-exists"]
        assert disks.on("b").read_bytes() == b"precious"


async def test_two_directories_of_one_name_are_not_shared_storage(
    move_world: Any, tmp_path: Path
) -> None:
    """Equal names and sizes do not pass for the same image: the probe is not found."""
    disks = Disks(tmp_path / "disks", placement="shared")
    disks.folders["b"].unlink()
    disks.folders["b"].mkdir()
    disks.on("b").write_bytes(disks.image.read_bytes())
    async with move_world(disks.devices, settings=disks.settings) as world:
        await world.start()
        failed: Journey = await world.migrate()
        assert not failed.arrived
        assert "two directories" in str(failed.error)
        disks.settled("a")


async def test_a_cached_disk_is_not_shared(move_world: Any, tmp_path: Path) -> None:
    """Writes in one host's page cache are invisible to the other."""
    disks = Disks(tmp_path / "disks", placement="shared", cache="writeback")
    async with move_world(disks.devices, settings=disks.settings) as world:
        await world.start()
        assert (await world.migrate()).codes == ["cache"]


async def test_a_plan_announces_what_comparing_costs(move_world: Any, tmp_path: Path) -> None:
    """The predicted blackout grows by the announced seconds."""
    disks = Disks(tmp_path / "disks", placement="mirror", verify=True)
    async with move_world(disks.devices, settings=disks.settings) as world:
        await world.start()
        plan = await world.plan()
        limit = world.definition.migration.downtime_limit_seconds
        assert plan.predicted_blackout_seconds > limit


async def test_a_domain_that_left_is_not_started_from_what_it_left(
    move_world: Any, tmp_path: Path
) -> None:
    """The kept image has another name, and a start says where the disk is."""
    disks = Disks(tmp_path / "disks", placement="mirror")
    async with move_world(disks.devices, settings=disks.settings) as world:
        await world.start()
        assert (await world.migrate()).arrived
        await world.stop()
    async with _fresh(move_world, disks) as world:
        failed = await world.start()
        assert "moved away with its disk" in str(failed.error)


def _fresh(move_world: Any, disks: Disks) -> Any:
    """Two hosts whose journals know nothing."""
    return move_world(disks.devices, settings=disks.settings)


def test_the_driver_keeps_its_contract() -> None:
    """Schema, hooks and their answers are what the contract wants."""
    check_device(
        Blk,
        {"source": "disk.raw", "placement": "mirror", "verify": True},
        refused=[
            {"placement": "mirror"},
            {"source": "d", "placement": "elsewhere"},
            {"source": "d", "placement": "mirror", "readonly": True},
            {"source": "d", "placement": "shared", "verify": True},
            {"source": "d", "after": "delete"},
            {"source": "d.qcow2", "placement": "copy"},
            {"source": "d", "placement": "copy", "verify": True},
            {"source": "d", "cache": "unsafe"},
        ],
        engine_hooks=("attach", "qemu_args"),
        host_settings={"directories": {"/srv/a": "/srv/b"}},
    )

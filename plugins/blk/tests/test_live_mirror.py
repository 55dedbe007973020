"""A mirror between two real QEMU processes while the disk is written."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from domwarden.contract import End, EngineError, PermanentError, QemuControl, Step
from domwarden.testing.qmp import QmpControl
from domwarden.testing.sides import MIGRATION, codes, pair

from .helpers import Side, host
from .qemu_process import (
    capabilities,
    freeze,
    migrate_to_switchover,
    migration_state,
    qemu,
    require_qemu,
    write,
)

pytestmark = [pytest.mark.live, pytest.mark.time_limit(120)]

MIB = 2**20


class Move:
    """Two hosts, their QEMU processes, and the two ends of one mirrored disk."""

    def __init__(self, directory: Path, image_format: str, **options: object) -> None:
        require_qemu()
        self.directory = directory
        for name in ("a", "b"):
            (directory / name).mkdir()
        self.image = directory / "a" / f"disk.{image_format}"
        self.final = directory / "b" / self.image.name
        self.partial = self.final.with_name(f".{self.final.name}.{MIGRATION}.partial")
        subprocess.run(
            ["qemu-img", "create", "-q", "-f", image_format, str(self.image), "48M"], check=True
        )
        self.options = {"source": str(self.image), "placement": "mirror", **options}
        self.controls_a: dict[type, object] = {}
        self.controls_b: dict[type, object] = {}
        where = {str(directory / "a"): str(directory / "b")}
        host_a, host_b = host(directory, "a"), host(directory, "b", directories=where)
        self.source = Side(End.SOURCE, host_a, self.options, controls=self.controls_a)
        self.target = Side(End.DESTINATION, host_b, self.options, controls=self.controls_b)
        pair(self.source, self.target)

    @contextlib.asynccontextmanager
    async def ends(self) -> AsyncIterator[tuple[QmpControl, QmpControl]]:
        """Start the source, test both ends, open the destination and start it held."""
        started = self.source.qemu_args()
        async with qemu(self.source.directory, started) as a:
            self.controls_a[QemuControl] = a
            assert await self.source.step(Step.TEST) == []
            assert await self.target.step(Step.TEST) == []
            await self.target.open()
            arguments = self.target.qemu_args()
            uri = f"unix:{self.directory}/stream"
            held = ("-S", "-incoming", "defer")
            async with qemu(self.target.directory, arguments, *held) as b:
                self.controls_b[QemuControl] = b
                await capabilities(b, "return-path", "late-block-activate")
                await b.execute("migrate-incoming", {"uri": uri})
                await capabilities(a, "return-path", "pause-before-switchover")
                yield a, b

    async def suspend(self, a: QmpControl) -> None:
        await migrate_to_switchover(a, f"unix:{self.directory}/stream")


@pytest.mark.parametrize("image_format", ["raw", "qcow2"])
async def test_a_written_disk_arrives_whole(tmp_path: Path, image_format: str) -> None:
    """Writes before, during and after the copy are on the target, which gets its name last."""
    move = Move(tmp_path, image_format, verify=True)
    async with move.ends() as (a, b):
        await write(a, 0x11, 0, 8 * MIB)
        await move.target.step(Step.PREPARE)
        await move.source.step(Step.PREPARE)
        await write(a, 0x22, 4 * MIB, MIB)
        await write(a, 0x33, 40 * MIB, 2 * MIB)
        await move.suspend(a)
        for step in (Step.START, Step.START, Step.SYNC, Step.SYNC):
            await move.source.step(step)
        await a.execute("migrate-continue", {"state": "pre-switchover"})
        await migration_state(a, "completed")
        await migration_state(b, "completed")
        await move.target.step(Step.SYNC)
        await b.execute("cont")
        assert (await b.execute("query-status"))["running"]
        assert move.partial.exists()
        assert not move.final.exists()
        for _ in range(2):  # a crash in between makes it run twice
            await move.target.finish()
        assert move.final.exists()
        assert not move.partial.exists()
        await write(b, 0x44, 47 * MIB, MIB)  # the running guest did not notice the new name
        for _ in range(2):
            await move.source.finish()
        assert not move.image.exists()
    kept = move.image.with_name(f"{move.image.name}.moved-{MIGRATION}")
    assert kept.exists()
    for pattern, offset, length in (
        (0x11, 0, 4 * MIB),
        (0x22, 4 * MIB, MIB),
        (0x11, 5 * MIB, 3 * MIB),
        (0x33, 40 * MIB, 2 * MIB),
        (0x44, 47 * MIB, MIB),
    ):
        _expect(move.final, image_format, pattern, offset, length)
    assert any(done and total for _, done, total in move.source.reports.lines)


async def test_recovery_leaves_the_source_running_and_nothing_behind(tmp_path: Path) -> None:
    """After an abort at the switchover the source writes on, and the target is gone."""
    move = Move(tmp_path, "qcow2")
    async with move.ends() as (a, b):
        await write(a, 0x11, 0, 8 * MIB)
        await move.target.step(Step.PREPARE)
        await move.source.step(Step.PREPARE)
        await move.suspend(a)
        await move.source.step(Step.START)
        await b.execute("quit")
        for _ in range(2):
            await move.source.recover(Step.START)
        await a.execute("migrate_cancel")
        move.controls_b.clear()
        for _ in range(2):
            await move.target.recover(Step.START)
        await write(a, 0x55, 0, MIB)
        assert await a.execute("query-jobs") == []
        nodes = await a.execute("query-named-block-nodes", {"flat": True})
        assert {node["node-name"] for node in nodes} == {"root", "root-file"}
    assert list((tmp_path / "b").iterdir()) == []
    assert move.image.exists()


async def test_a_destination_that_dies_while_copying_is_an_error_not_a_completed_mirror(
    tmp_path: Path,
) -> None:
    """The job's end alone proves nothing: only its end without an error does."""
    move = Move(tmp_path, "raw")
    async with move.ends() as (a, b):
        await write(a, 0x11, 0, 8 * MIB)
        await move.target.step(Step.PREPARE)
        await move.source.step(Step.PREPARE)
        await b.execute("quit")
        await write(a, 0x22, 0, MIB)  # needs a target to be ready
        with pytest.raises(EngineError):
            await _finish_mirror(move.source)
        await move.source.recover(Step.SYNC)
        assert await a.execute("query-jobs") == []


async def test_recovery_frees_the_source_from_a_destination_that_hangs(tmp_path: Path) -> None:
    """A frozen target with requests in flight is cut off, and the guest writes on."""
    move = Move(tmp_path, "raw")
    async with move.ends() as (a, _):
        await move.target.step(Step.PREPARE)
        await move.source.step(Step.PREPARE)
        freeze(move.target.directory)
        await write(a, 0x22, 0, 65536)
        await move.source.recover(Step.PREPARE)
        assert await a.execute("query-jobs") == []
        await write(a, 0x33, 0, MIB)


@pytest.mark.parametrize("image_format", ["raw", "qcow2"])
async def test_recovery_frees_a_source_that_wrote_more_than_a_frozen_target_took(
    tmp_path: Path, image_format: str
) -> None:
    """Far more waited for the target than its socket holds: the job ends at once, not never."""
    move = Move(tmp_path, image_format)
    async with move.ends() as (a, _):
        await write(a, 0x11, 0, 48 * MIB)
        await move.target.step(Step.PREPARE)
        await move.source.step(Step.PREPARE)
        freeze(move.target.directory)
        for number in range(40):
            await write(a, 0x22, number * MIB, MIB)
        begun = time.monotonic()
        await move.source.recover(Step.PREPARE)
        assert time.monotonic() - begun < 25  # it gives up after 30
        assert await a.execute("query-jobs") == []
        await write(a, 0x33, 0, MIB)


async def test_a_difference_between_the_ends_is_found(tmp_path: Path) -> None:
    """With verify, one byte changed on the target behind QEMU's back fails SYNC."""
    move = Move(tmp_path, "raw", verify=True)
    async with move.ends() as (a, b):
        await write(a, 0x11, 0, 8 * MIB)
        await move.target.step(Step.PREPARE)
        await move.source.step(Step.PREPARE)
        await move.suspend(a)
        await move.source.step(Step.START)
        await move.source.step(Step.SYNC)
        with move.partial.open("r+b") as file:
            file.seek(5 * MIB)
            file.write(b"\x12")
        await a.execute("migrate-continue", {"state": "pre-switchover"})
        await migration_state(b, "completed")
        with pytest.raises(PermanentError, match="4 MiB"):
            await move.target.step(Step.SYNC)
        await move.target.recover(Step.SYNC)
        assert not move.partial.exists()


async def test_an_image_in_the_way_is_refused_and_kept(tmp_path: Path) -> None:
    """Nothing on the destination is ever overwritten."""
    move = Move(tmp_path, "raw")
    move.final.write_bytes(b"precious")
    async with qemu(move.source.directory, move.source.qemu_args()) as a:
        move.controls_a[QemuControl] = a
        assert await move.source.step(Step.TEST) == []
        assert codes(await move.target.step(Step.TEST)) == ["target-exists"]
    assert move.final.read_bytes() == b"precious"


async def _finish_mirror(source: Side) -> None:
    await source.step(Step.START)
    await source.step(Step.SYNC)


def _expect(image: Path, image_format: str, pattern: int, offset: int, length: int) -> None:
    command = f"read -P {pattern} {offset} {length}"
    done = subprocess.run(
        ["qemu-io", "-U", "-r", "-f", image_format, "-c", command, str(image)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Pattern verification failed" not in done.stdout, done.stdout

"""A TPM's state in the stream between two real QEMU processes with real swtpms."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from domwarden.contract import Domain, End, PermanentError, QemuControl, Step
from domwarden.testing.sides import MIGRATION, codes, pair
from domwarden_tpm_migrate import swtpm
from domwarden_tpm_migrate.places import Places

from .helpers import Side, host
from .qemu_process import migrate, qemu, require_programs

pytestmark = [pytest.mark.live, pytest.mark.time_limit(120)]

PCR = 16
DIGEST = hashlib.sha256(b"measured").digest()
EXTENDED = hashlib.sha256(bytes(32) + DIGEST).digest()


class Move:
    def __init__(self, directory: Path, **options: object) -> None:
        require_programs()
        self.directory = directory
        chosen = {"move": "stream", **options}
        controls: dict[type, object] = {QemuControl: object()}
        self.started = Side(
            End.SOURCE, host(directory, "a"), chosen, controls=controls, movement=None
        )
        self.source = Side(End.SOURCE, host(directory, "a"), chosen, controls=controls)
        self.target = Side(End.DESTINATION, host(directory, "b"), chosen, controls=controls)
        pair(self.source, self.target)

    @property
    def held(self) -> tuple[str, ...]:
        return ("-S", "-incoming", "defer")

    def arguments(self, side: Side) -> list[object]:
        return side.qemu_args()


def running(domain: Domain) -> bool:
    return swtpm.find(Places.of(domain)) is not None


@pytest.mark.parametrize("keyed", [False, True], ids=["plain", "encrypted"])
async def test_a_pcr_and_the_permanent_state_arrive(tmp_path: Path, keyed: bool) -> None:
    """The PCR has its value at the destination, whose state is durable before the source's goes."""
    key = tmp_path / "key"
    key.write_text("00112233445566778899aabbccddeeff" * 2)
    move = Move(tmp_path, **({"key_file": str(key)} if keyed else {}))
    source, target = move.source, move.target
    await move.started.open()
    async with qemu(source.directory, move.arguments(source)) as (a, guest_a):
        await guest_a.startup()
        await guest_a.extend(PCR, DIGEST)
        assert await source.step(Step.TEST) == []
        assert await target.step(Step.TEST) == []
        await target.open()
        async with qemu(target.directory, move.arguments(target), *move.held) as (
            b,
            guest_b,
        ):
            await migrate(a, b, tmp_path)
            await source.step(Step.SYNC)
            await target.step(Step.SYNC)
            await b.execute("cont")
            for _ in range(2):  # a crash in between makes it run twice
                await target.finish()
                await source.finish()
            assert await guest_b.pcr(PCR) == EXTENDED
            state = target.directory / "tpm0.tpm"
            before = (state / "tpm2-00.permall").stat().st_mtime_ns
            await guest_b.command(bytes.fromhex("80010000000c000001450000"))  # TPM2_Shutdown(CLEAR)
            assert (state / "tpm2-00.permall").stat().st_mtime_ns > before  # under its new name
            assert (source.directory / f"tpm0.tpm.moved-{MIGRATION}").is_dir()
            await a.execute("quit")
            for _ in range(2):
                await source.close()
            assert not running(source.domain)
            assert not list(source.directory.glob("*tpm0.tpm*"))
            assert running(target.domain)
    await target.close()
    assert not running(target.domain)


async def test_the_state_outlives_a_stop_and_nothing_else_does(tmp_path: Path) -> None:
    """Closing ends the process; the next start reads the same state."""
    move = Move(tmp_path)
    await move.started.open()
    first = swtpm.find(Places.of(move.started.domain))
    assert first is not None
    assert os.readlink(f"/proc/{first}/cwd") == str(move.started.directory / "tpm0.tpm")
    await move.started.open()  # a crash in between makes it run twice
    assert swtpm.find(Places.of(move.started.domain)) not in (None, first)
    await move.started.close()
    await move.started.close()
    assert not running(move.started.domain)
    assert (move.started.directory / "tpm0.tpm").is_dir()


async def test_another_state_at_the_destination_is_refused_and_kept(tmp_path: Path) -> None:
    """QEMU would overwrite it silently."""
    move = Move(tmp_path)
    other = move.target.directory / "tpm0.tpm" / "tpm2-00.permall"
    other.parent.mkdir(parents=True)
    other.write_bytes(b"keys")
    assert await move.source.step(Step.TEST) == []
    assert codes(await move.target.step(Step.TEST)) == ["tpm-state-exists"]
    with pytest.raises(PermanentError, match="never overwritten"):
        await move.target.open()
    assert other.read_bytes() == b"keys"


async def test_recovery_leaves_the_source_whole_and_nothing_at_the_destination(
    tmp_path: Path,
) -> None:
    """An abort after the stream came removes only what this migration made."""
    move = Move(tmp_path)
    source, target = move.source, move.target
    await move.started.open()
    async with qemu(source.directory, move.arguments(source)) as (a, guest_a):
        await guest_a.startup()
        await guest_a.extend(PCR, DIGEST)
        await source.step(Step.TEST)
        await target.step(Step.TEST)
        await target.open()
        async with qemu(target.directory, move.arguments(target), *move.held) as (b, _):
            await migrate(a, b, tmp_path)
            await target.step(Step.SYNC)
        for _ in range(2):
            await target.recover(Step.SYNC)
            await target.close()
        await a.execute("cont")
        assert await guest_a.pcr(PCR) == EXTENDED
        assert running(source.domain)
        assert not running(target.domain)
        left = {entry.name for entry in target.directory.iterdir()}
        assert left <= {"tpm0.swtpm.log", "qtest.sock", "halt.bin"}
    await move.started.close()


async def test_a_swtpm_that_cannot_start_says_why(tmp_path: Path) -> None:
    """A wrong key shows as swtpm's own words, soon."""
    key = tmp_path / "key"
    key.write_text("zz")
    move = Move(tmp_path, key_file=str(key))
    with pytest.raises(PermanentError, match="swtpm did not start"):
        await move.started.open()
    assert codes(await move.source.step(Step.TEST)) == ["tpm-key"]

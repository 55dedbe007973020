"""A real guest moves with its mirrored disk and its TPM between two hosts that share nothing."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
import yaml

from domwarden.contract import BrokenError, MigrationSettings, RefusedError, RunState
from domwarden.migration import MoveFailedError, Outcome
from domwarden.testing.require import program
from domwarden.warden import Warden

from ..system.house import MARK, alive, until
from ..system.survival import watcher_dies
from .hosts import shell, started, warden_of, write_domain, write_host
from .lab import NAME

pytestmark = [pytest.mark.live, pytest.mark.time_limit(300)]

MIRROR = {"driver": "blk", "source": "disks-a/web1.qcow2", "placement": "mirror"}
TPM = {"driver": "tpm", "move": "stream"}
#: Notes each call, and fails at one step where there is a file that names it.
TOOL = """#!/bin/sh
echo "$@" >> {root}/calls
[ "$#" = 8 ] && [ "$4" = "$(cat {root}/fails 2>&1)" ] && echo "Error: no link to the card"
exit 0
"""


def _write(root: Path, devices: Mapping[str, Mapping[str, Any]]) -> None:
    program("swtpm", "swtpm")
    for host in "ab":
        (root / f"disks-{host}").mkdir()
        write_host(root, host, blk={"directories": {"disks-a": f"disks-{host}"}})
    write_domain(root, devices, migration={"timeout": "60s"})
    image = root / MIRROR["source"]
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(image), "64M"], check=True)


def _started(
    root: Path, devices: Mapping[str, Mapping[str, Any]]
) -> AbstractAsyncContextManager[Warden]:
    _write(root, devices)
    return started(root)


def _images(root: Path, host: str) -> list[str]:
    return sorted(entry.name for entry in (root / f"disks-{host}").iterdir())


def _calls(root: Path) -> list[str]:
    """Return what the tool was called with since the last question."""
    calls = root / "calls"
    said = calls.read_text().splitlines()
    calls.unlink()
    return said


def _tpms(root: Path, host: str) -> list[str]:
    directory = root / host / "domains" / NAME
    found = directory.iterdir() if directory.is_dir() else iter(())
    return sorted(entry.name for entry in found if ".tpm" in entry.name)


async def test_disk_and_tpm_arrive_with_the_guest(tmp_path: Path) -> None:
    """What the guest wrote, also during the copy, and what it measured is there, and only there."""
    devices = {"root": {**MIRROR, "verify": True}, "tpm0": TPM}
    async with _started(tmp_path, devices) as warden:
        plan = await warden.plan(NAME, "b")
        assert plan.refusals == ()
        # The comparison reads the whole disk while the guest stands still, and plan says so.
        assert plan.predicted_blackout_seconds > MigrationSettings().downtime_limit_seconds
        async with shell(tmp_path, "a") as console:
            await console.command("write vda 1000000 early words")
            before = await console.command("tpm pcr 16")
            await console.command("tpm extend 16 measured")
            extended = await console.command("tpm pcr 16")
            assert extended != before
            await console.command("count start vda")
            await console.wait_count(5)
        moved = await warden.migrate(NAME, "b")
        assert moved.running
        assert moved.alarms == ()
        assert _images(tmp_path, "b") == ["web1.qcow2"]
        assert _images(tmp_path, "a") == [f"web1.qcow2.moved-{moved.migration}"]
        assert _tpms(tmp_path, "b") == ["tpm0.tpm"]
        assert _tpms(tmp_path, "a") == []
        async with shell(tmp_path, "b") as console:
            last = int(await console.command("count stop"))
            assert last >= 5
            text = await console.command("read vda 0 20")
            assert text.startswith((f"count {last}\\x0a", f"count {last + 1}\\x0a"))
            assert (await console.command("read vda 1000000 11")).startswith("early words")
            assert await console.command("tpm pcr 16") == extended
            await console.command("write vda 2000000 on the new host")
        async with warden_of(tmp_path, "b") as there:
            back = await there.migrate(NAME, "a")
            assert back.alarms == ()
        async with shell(tmp_path, "a") as console:
            assert (await console.command("read vda 2000000 15")).startswith("on the new host")
            assert await console.command("tpm pcr 16") == extended


@pytest.mark.parametrize("point", ["pre-switchover", "received-not-ready"])
async def test_disk_and_tpm_stay_when_the_driver_dies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    """The guest writes on where it was, and the other host has nothing of it."""
    async with _started(tmp_path, {"root": MIRROR, "tpm0": TPM}) as warden:
        async with shell(tmp_path, "a") as console:
            await console.command("tpm extend 16 measured")
            extended = await console.command("tpm pcr 16")
        monkeypatch.setenv("DOMWARDEN_CRASH_AT", point)
        with pytest.raises(MoveFailedError) as failed:
            await warden.migrate(NAME, "b")
        monkeypatch.delenv("DOMWARDEN_CRASH_AT")
        assert failed.value.settled.outcome is Outcome.RESUMED
        (status,) = await warden.status(NAME)
        assert status.state is RunState.RUNNING
        assert _images(tmp_path, "a") == ["web1.qcow2"]
        assert _images(tmp_path, "b") == []
        assert _tpms(tmp_path, "b") == []
        async with shell(tmp_path, "a") as console:
            await console.command("write vda 1000000 still here")
            assert await console.command("tpm pcr 16") == extended
        assert (await warden.migrate(NAME, "b")).alarms == ()


async def test_disk_and_tpm_are_tidied_up_when_the_driver_dies_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The guest runs over there on files that get their names all the same."""
    async with _started(tmp_path, {"root": MIRROR, "tpm0": TPM}) as warden:
        monkeypatch.setenv("DOMWARDEN_CRASH_AT", "running-not-seen")
        moved = await warden.migrate(NAME, "b")
        monkeypatch.delenv("DOMWARDEN_CRASH_AT")
        assert moved.alarms == ("the process that drove the move died",)
        assert _images(tmp_path, "b") == ["web1.qcow2"]
        assert _tpms(tmp_path, "b") == ["tpm0.tpm"]
        assert [name.partition(".moved-")[1] for name in _images(tmp_path, "a")] == [".moved-"]
        assert _tpms(tmp_path, "a") == []
        async with shell(tmp_path, "b") as console:
            await console.command("write vda 1000000 over there")


async def test_an_image_is_deleted_only_after_its_guest_ran_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``after: delete``: a move that fails deletes nothing, nor one that is granted and hangs."""
    monkeypatch.setenv(MARK, str(tmp_path))  # by which the processes of the move are found
    async with _started(tmp_path, {"root": {**MIRROR, "after": "delete"}}) as warden:
        # Nothing is announced without a comparison.
        predicted = (await warden.plan(NAME, "b")).predicted_blackout_seconds
        assert predicted == MigrationSettings().downtime_limit_seconds
        async with shell(tmp_path, "a") as console:
            await console.command("write vda 1000000 precious")
        monkeypatch.setenv("DOMWARDEN_CRASH_AT", "received-not-ready")
        with pytest.raises(MoveFailedError) as failed:
            await warden.migrate(NAME, "b")
        assert failed.value.settled.outcome is Outcome.RESUMED
        assert _images(tmp_path, "a") == ["web1.qcow2"]
        async with shell(tmp_path, "a") as console:
            assert (await console.command("read vda 1000000 8")).startswith("precious")
        monkeypatch.setenv("DOMWARDEN_CRASH_AT", "granted-not-running")
        observer, driver = watcher_dies(tmp_path)
        with pytest.raises(BrokenError, match="so did its watcher"):
            await warden.migrate(NAME, "b", observer=observer)
        await until(lambda: not alive(driver[0]), "the driver dies too", seconds=60)
        monkeypatch.delenv("DOMWARDEN_CRASH_AT")
        assert _images(tmp_path, "a") == ["web1.qcow2"]  # its guest may run, and runs not yet
        (settled,) = await warden.recover()
        assert settled.outcome is Outcome.ARRIVED
        assert _images(tmp_path, "a") == []
        assert _images(tmp_path, "b") == ["web1.qcow2"]
        async with shell(tmp_path, "b") as console:
            assert (await console.command("read vda 1000000 8")).startswith("precious")


async def test_a_shared_disk_is_proven_and_the_tool_runs_beside_the_stream(
    tmp_path: Path,
) -> None:
    """Both hosts see one image; the tool hears every step while QEMU carries the TPM's state."""
    shared = {**MIRROR, "placement": "shared"}
    async with _started(tmp_path, {"root": shared, "tpm0": {**TPM, "move": "tool"}}) as warden:
        (tmp_path / "disks-b").rmdir()
        (tmp_path / "disks-b").symlink_to("disks-a")
        with pytest.raises(RefusedError) as refused:
            await warden.migrate(NAME, "b")
        assert [r.code for r in refused.value.refusals] == ["no-tool"]
        tool = tmp_path / "tool"
        tool.write_text(TOOL.format(root=tmp_path))
        tool.chmod(0o755)
        text = yaml.safe_load((tmp_path / "a.yaml").read_text())
        text["drivers"]["tpm"] = {"tool": [str(tool)], "timeout": "10s"}
        (tmp_path / "a.yaml").write_text(yaml.safe_dump(text))
        async with shell(tmp_path, "a") as console:
            await console.command("tpm extend 16 measured")
            extended = await console.command("tpm pcr 16")
            await console.command("write vda 1000000 early words")
        calls = [f"-type vtpm -step {n} -host b -domname {NAME}" for n in range(4)]
        async with warden_of(tmp_path, "a") as again:
            for failing in (1, 2, 3):
                (tmp_path / "fails").write_text(f"{failing}")
                with pytest.raises(MoveFailedError, match="no link to the card") as failed:
                    await again.migrate(NAME, "b")
                assert failed.value.settled.outcome is Outcome.RESUMED
                undone = [*calls[: failing + 1], f"{calls[failing]} -recover"]
                assert _calls(tmp_path) == undone
                async with shell(tmp_path, "a") as console:
                    assert await console.command("tpm pcr 16") == extended
            (tmp_path / "fails").unlink()
            moved = await again.migrate(NAME, "b")
        assert moved.alarms == ()
        assert _calls(tmp_path) == calls
        assert _images(tmp_path, "a") == ["web1.qcow2"]  # and no probe is left
        async with shell(tmp_path, "b") as console:
            assert await console.command("tpm pcr 16") == extended
            assert (await console.command("read vda 1000000 11")).startswith("early words")


async def test_every_reason_is_given_at_once(tmp_path: Path) -> None:
    """An image and a TPM's state in the way are both named, and both kept."""
    async with _started(tmp_path, {"root": MIRROR, "tpm0": TPM}) as warden:
        image = tmp_path / "disks-b" / "web1.qcow2"
        state = tmp_path / "b" / "domains" / NAME / "tpm0.tpm" / "tpm2-00.permall"
        state.parent.mkdir(parents=True)
        for path in (image, state):
            path.write_bytes(b"precious")
        with pytest.raises(RefusedError) as refused:
            await warden.migrate(NAME, "b")
        reasons = {(r.device, r.code) for r in refused.value.refusals}
        assert reasons == {("root", "target-exists"), ("tpm0", "tpm-state-exists")}
        assert image.read_bytes() == state.read_bytes() == b"precious"


async def test_a_saved_guest_gets_its_tpm_back(tmp_path: Path) -> None:
    """Save and restore keep the PCR, and the disk stays where it is."""
    async with _started(tmp_path, {"root": MIRROR, "tpm0": TPM}) as warden:
        async with shell(tmp_path, "a") as console:
            await console.command("tpm extend 16 measured")
            extended = await console.command("tpm pcr 16")
        await warden.save(NAME, tmp_path / "saved")
        restored = await warden.restore(tmp_path / "saved")
        assert restored.alarms == ()
        async with shell(tmp_path, "a") as console:
            assert await console.command("tpm pcr 16") == extended
        assert _tpms(tmp_path, "a") == ["tpm0.tpm"]
        assert _images(tmp_path, "a") == ["web1.qcow2"]

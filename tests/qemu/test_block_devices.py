"""A real guest on a block device: it moves if the hardware has one name for it on both hosts."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from domwarden.config import load_domain
from domwarden.contract import PermanentError
from domwarden.testing.namespace import in_own_mounts
from domwarden.testing.require import absent
from domwarden.warden import Warden

from .hosts import shell, started, warden_of, write_domain, write_host
from .lab import NAME

pytestmark = pytest.mark.live

LIMIT_SECONDS = 240.0
WWID = "naa.600508b1001c4f0a"


@contextlib.contextmanager
def _loop_device(image: Path) -> Iterator[Path]:
    """Enter a block device of the kernel's own over a file."""
    with image.open("wb") as file:
        file.truncate(8 * 2**20)
    words = ["losetup", "--find", "--show", str(image)]
    made = subprocess.run(words, capture_output=True, text=True, timeout=10, check=False)
    if made.returncode:
        absent("loop", f"no loop device: {made.stderr.strip()}")
    device = Path(made.stdout.strip())
    try:
        yield device
    finally:
        subprocess.run(["losetup", "--detach", str(device)], timeout=10, check=True)


def _name_hardware(device: Path, directory: Path, wwid: str) -> None:
    """Let the kernel's view of a device tell that name, in this namespace only.

    A loop device has none: whatever would be asked of a disk on a bus is asked of this folder.
    """
    directory.mkdir(exist_ok=True)
    (directory / "wwid").write_text(f"{wwid}\n")
    kernels = Path("/sys/block") / device.name
    subprocess.run(["mount", "--bind", str(directory), str(kernels)], timeout=10, check=True)


async def _refusals(warden: Warden) -> list[str]:
    return [f"{each.device}: {each.code}" for each in (await warden.plan(NAME, "b")).refusals]


def test_a_shared_device_moves_by_the_name_of_its_hardware(tmp_path: Path) -> None:
    """No name: refused; another name over there: refused; one name: the guest's words are there."""

    async def test() -> None:
        with _loop_device(tmp_path / "one") as one, _loop_device(tmp_path / "other") as other:
            write_host(tmp_path, "a")
            write_host(tmp_path, "b", blk={"directories": {str(one): str(other)}})
            shared = {"driver": "blk", "source": str(one), "placement": "shared"}
            write_domain(tmp_path, {"root": shared}, migration={"timeout": "60s"})
            async with started(tmp_path) as warden:
                assert await _refusals(warden) == ["root: no-wwn"]
                _name_hardware(one, tmp_path / "sys-one", WWID)
                assert await _refusals(warden) == ["root: not-the-same-image"]
                _name_hardware(other, tmp_path / "sys-other", "naa.5")
                (refusal,) = (await warden.plan(NAME, "b")).refusals
                assert f"wwn 'naa.5', not '{WWID}'" in refusal.reason
                async with shell(tmp_path, "a") as console:
                    await console.command("write vda 1000000 precious")
                write_host(tmp_path, "b")  # now it means the same device by that name
                async with warden_of(tmp_path, "a") as again:
                    assert await _refusals(again) == []
                    moved = await again.migrate(NAME, "b")
                assert moved.alarms == ()
                async with shell(tmp_path, "b") as console:
                    said = await console.command("read vda 1000000 8")
                assert said.startswith("precious")

    in_own_mounts(test, LIMIT_SECONDS)


@pytest.mark.parametrize("placement", ["mirror", "local"])
async def test_a_hosts_own_device_is_no_image(tmp_path: Path, placement: str) -> None:
    """A partition of one host is given to no guest, unless it is said that all hosts see it."""
    with _loop_device(tmp_path / "one") as one:
        for host in "ab":
            write_host(tmp_path, host)
        disk = {"driver": "blk", "source": str(one), "placement": placement}
        write_domain(tmp_path, {"root": disk})
        async with warden_of(tmp_path, "a") as warden:
            with pytest.raises(PermanentError, match="is a device of this host") as refused:
                await warden.start(load_domain(tmp_path / f"{NAME}.yaml"))
            assert "placement: shared" in refused.value.hint
            (status,) = await warden.status(NAME)
            assert status.state == "absent"

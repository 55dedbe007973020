"""A disk that goes along as a file, on an engine that knows nothing of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from domwarden.contract import End, PermanentError, Step
from domwarden.testing.sides import pair
from domwarden_blk.sums import BLOCK_BYTES

from .helpers import Side, host

BLOCKS = 9


class Ends:
    """A disk with a hole and an odd end on host a, and an empty directory on host b."""

    def __init__(self, root: Path, **settings: str) -> None:
        for name in "ab":
            (root / name).mkdir()
        self.image, self.copy = root / "a" / "disk.raw", root / "b" / "disk.raw"
        self.image.write_bytes(
            os.urandom(2 * BLOCK_BYTES) + bytes((BLOCKS - 3) * BLOCK_BYTES) + os.urandom(512)
        )
        options = {"source": str(self.image), "placement": "copy"}
        directories = {str(root / "a"): str(root / "b")}
        there = host(root, "b", directories=directories, **settings)
        self.source = Side(End.SOURCE, host(root, "a"), options, engine="xen")
        self.target = Side(End.DESTINATION, there, options, engine="xen")
        pair(self.source, self.target)

    @property
    def partial(self) -> Path:
        return self.copy.with_name(".disk.raw.m1.partial")

    def write(self, block: int, data: bytes) -> None:
        """Write as the guest would."""
        with self.image.open("r+b") as file:
            file.seek(block * BLOCK_BYTES)
            file.write(data)

    async def prepared(self) -> None:
        assert await self.source.step(Step.TEST) == []
        assert await self.target.step(Step.TEST) == []
        await self.target.open()
        await self.target.step(Step.PREPARE)
        await self.source.step(Step.PREPARE)

    async def synced(self) -> None:
        await self.source.step(Step.START)
        await self.source.step(Step.SYNC)
        await self.target.step(Step.SYNC)


@pytest.mark.parametrize("settings", [{}, {"address": "127.0.0.1"}], ids=["unix", "tcp"])
async def test_what_was_written_meanwhile_arrives_too(
    tmp_path: Path, settings: dict[str, str]
) -> None:
    """Also where a hole was filled, and where zeros were written over data."""
    ends = Ends(tmp_path, **settings)
    await ends.prepared()
    ends.write(0, bytes(BLOCK_BYTES))
    ends.write(4, b"filled")
    await ends.synced()
    assert ends.partial.read_bytes() == ends.image.read_bytes()
    content = ends.image.read_bytes()
    await ends.target.finish()
    await ends.source.finish()
    assert ends.copy.read_bytes() == content
    assert [entry.name for entry in ends.image.parent.iterdir()] == ["disk.raw.moved-m1"]
    assert list(ends.source.directory.iterdir()) == []


async def test_nobody_can_write_the_target_once_it_was_compared(tmp_path: Path) -> None:
    """The door is closed before the destination says that it is ready."""
    ends = Ends(tmp_path)
    await ends.prepared()
    await ends.synced()
    with pytest.raises(PermanentError, match="cannot be used"):
        await ends.source.step(Step.START)


async def test_a_byte_that_differs_is_found(tmp_path: Path) -> None:
    """Whatever damaged the copy, the domain does not run on it."""
    ends = Ends(tmp_path)
    await ends.prepared()
    with ends.partial.open("r+b") as file:
        file.seek(BLOCK_BYTES + 7)
        file.write(b"!")
    with pytest.raises(PermanentError, match="differs from its source"):
        await ends.synced()


async def test_a_copy_given_up_leaves_nothing(tmp_path: Path) -> None:
    """The source's image stays as it is, and a second attempt begins anew."""
    ends = Ends(tmp_path)
    before = ends.image.read_bytes()
    for _ in range(2):
        await ends.prepared()
        await ends.source.recover(Step.PREPARE)
        await ends.target.recover(Step.PREPARE)
        assert list(ends.copy.parent.iterdir()) == []
        assert list(ends.target.directory.iterdir()) == []
        assert list(ends.source.directory.iterdir()) == []
    assert ends.image.read_bytes() == before


async def test_the_comparison_lengthens_the_blackout_and_says_so(tmp_path: Path) -> None:
    """Both ends read the whole disk while the domain stands still."""
    ends = Ends(tmp_path)
    await ends.source.step(Step.TEST)
    assert ends.source.given["blackout_seconds"] > 0

"""The small NBD server and client, against each other and against qemu-img."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domwarden.contract import PermanentError
from domwarden.testing.require import program
from domwarden_blk.digest import digests_of, region_bytes, require_same
from domwarden_blk.nbd_client import connected
from domwarden_blk.nbd_server import NbdServer

MIB = 2**20
SIZE = 64 * 1024


class Served:
    def __init__(self, directory: Path, size: int = SIZE) -> None:
        self.path = directory / "disk.raw"
        self.path.write_bytes(bytes(size))
        self.handle = os.open(self.path, os.O_RDWR)
        self.server = NbdServer(self.handle, "root")
        self.address = {"type": "unix", "path": str(directory / "nbd")}

    async def __aenter__(self) -> Served:
        await self.server.listen(Path(self.address["path"]))
        return self

    async def __aexit__(self, *_error: object) -> None:
        self.server.close()
        os.close(self.handle)
        await asyncio.sleep(0)


@given(
    writes=st.lists(
        st.tuples(st.integers(0, SIZE - 1), st.binary(min_size=1, max_size=4096)), max_size=20
    )
)
@settings(max_examples=25)
def test_a_disk_behind_the_wire_is_a_byte_array(
    writes: list[tuple[int, bytes]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Reads return what was written; what lies outside is an error and changes nothing."""

    async def play() -> None:
        model = bytearray(SIZE)
        async with Served(tmp_path_factory.mktemp("nbd")) as served:
            async with connected(served.address, "root") as client:
                assert client.size_bytes == SIZE
                for offset, data in writes:
                    if offset + len(data) > SIZE:
                        with pytest.raises(PermanentError, match="could not write"):
                            await client.write(offset, data)
                        continue
                    model[offset : offset + len(data)] = data
                    await client.write(offset, data)
                await client.flush()
                assert await client.read(0, SIZE) == model
            assert served.path.read_bytes() == model

    asyncio.run(play())


async def test_an_unknown_export_is_one_clear_error(tmp_path: Path) -> None:
    """So is a server that is not there."""
    async with Served(tmp_path) as served:
        with pytest.raises(PermanentError, match="'other' cannot be used"):
            await _touch(served.address, "other")
    with pytest.raises(PermanentError, match="'root' cannot be used"):
        await _touch(served.address, "root")


async def test_the_socket_is_its_owners_alone(tmp_path: Path) -> None:
    """It gives away the guest's disk."""
    async with Served(tmp_path) as served:
        assert os.stat(served.address["path"]).st_mode & 0o777 == 0o600
    assert "nbd" not in os.listdir(tmp_path)


async def test_digests_tell_where_two_disks_differ(tmp_path: Path) -> None:
    """One changed byte is found in its region."""
    async with Served(tmp_path, 9 * MIB) as served:
        before = await digests_of(served.address, "root")
        os.pwrite(served.handle, b"x", 5 * MIB)
        after = await digests_of(served.address, "root")
    assert len(before) == 3
    with pytest.raises(PermanentError, match=r"at 4 MiB$"):
        require_same(after, before, 9 * MIB)


@given(size=st.integers(1, 2**50))
def test_the_digests_of_any_disk_fit_into_a_ticket(size: int) -> None:
    """128 at most, and they cover it all."""
    step = region_bytes(size)
    assert -(-size // step) <= 128


@pytest.mark.live
async def test_qemus_own_client_reads_what_we_serve(tmp_path: Path) -> None:
    """The server speaks the protocol that others speak."""
    program("qemu", "qemu-img")
    async with Served(tmp_path, MIB) as served:
        os.pwrite(served.handle, os.urandom(4096), 8192)
        # qemu-img negotiates by options that this server does not know, and must fall back.
        uri = f"nbd+unix:///root?socket={served.address['path']}"
        process = await asyncio.create_subprocess_exec(
            "qemu-img", "compare", "-f", "raw", "-F", "raw", str(served.path), uri,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said, _ = await process.communicate()
        assert process.returncode == 0, said.decode()


async def _touch(address: dict[str, str], export: str) -> None:
    async with connected(address, export):
        pass

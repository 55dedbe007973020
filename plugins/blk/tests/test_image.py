"""What is read off images, and what is refused to be guessed."""

from __future__ import annotations

import contextlib
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domwarden.contract import PermanentError
from domwarden_blk.image import Format, look

MIB = 2**20


def header(
    size: int,
    *,
    backing: bytes = b"",
    backing_format: bytes = b"",
    crypt: int = 0,
    features: int = 0,
) -> bytes:
    """A qcow2 header as its specification draws it."""
    extension = b""
    if backing_format:
        padded = backing_format.ljust(-(-len(backing_format) // 8) * 8, b"\0")
        extension = struct.pack(">II", 0xE2792ACA, len(backing_format)) + padded
    extension += struct.pack(">II", 0, 0)
    at = 104 + len(extension) if backing else 0
    head = struct.pack(">4sIQIIQI", b"QFI\xfb", 3, at, len(backing), 16, size, crypt)
    head = head.ljust(72, b"\0") + struct.pack(">Q", features)
    head = head.ljust(100, b"\0") + struct.pack(">I", 104)
    return (head + extension + backing).ljust(4096, b"\0")


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return tmp_path / "disk"


def test_a_qcow2_header_tells_size_backing_and_encryption(image: Path) -> None:
    """The guest's size is the header's, not the file's."""
    image.write_bytes(header(7 * MIB, backing=b"base.raw", backing_format=b"raw", crypt=2))
    seen = look(image, Format.QCOW2)
    assert seen.size_bytes == 7 * MIB
    assert (seen.backing, seen.backing_format) == ("base.raw", "raw")
    assert seen.encrypted
    assert not seen.external_data


def test_an_external_data_file_is_noticed(image: Path) -> None:
    """Incompatible feature bit 2."""
    image.write_bytes(header(MIB, features=4))
    assert look(image, Format.QCOW2).external_data


def test_a_raw_image_that_looks_like_qcow2_must_be_declared(image: Path) -> None:
    """Content is never probed: a guest could have written that header itself."""
    image.write_bytes(header(MIB))
    with pytest.raises(PermanentError, match="nothing says so"):
        look(image, Format.RAW, said=False)
    assert look(image, Format.RAW, said=True).size_bytes == 4096


def test_a_file_that_is_no_qcow2_is_not_taken_for_one(image: Path) -> None:
    """The declared format must be true."""
    image.write_bytes(bytes(4096))
    with pytest.raises(PermanentError, match="not a qcow2 image"):
        look(image, Format.QCOW2)


@pytest.mark.parametrize("size", [1, 511, 513])
def test_a_raw_image_is_whole_sectors(image: Path, size: int) -> None:
    """A torn image is not started from."""
    image.write_bytes(bytes(size))
    with pytest.raises(PermanentError, match="multiple of 512"):
        look(image, Format.RAW)


def test_names_choose_the_format_of_what_nothing_declares() -> None:
    """The ending decides, not the content."""
    assert Format.of_name("/x/a.qcow2") is Format.QCOW2
    assert Format.of_name("/x/a.img") is Format.RAW


@given(head=st.binary(max_size=300))
def test_no_header_breaks_the_reader(head: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Any bytes are an image or one clear error."""
    path = tmp_path_factory.getbasetemp() / "any"
    for content in (head, b"QFI\xfb" + head, header(MIB)[:104] + head):
        path.write_bytes(content)
        for image_format in Format:
            with contextlib.suppress(PermanentError):
                assert look(path, image_format).size_bytes >= 0

"""A stream's end, its memory and its configuration are found however it is cut."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domwarden_xen.transport.stream import Progress, Rewriter, StreamError, header

from . import fake_stream as fake
from .test_transport_messages import CUTS, Cuts, pieces

CONFIG = {"name": "web1", "memory": 1}


def stream(pages: int) -> bytes:
    """Return a whole stream, as the fake xl writes it."""
    return fake.beginning(CONFIG, pages) + fake.ending({"ran": 1.0})


@given(st.integers(0, 5), CUTS)
def test_the_end_of_a_stream_is_found_at_its_last_byte(pages: int, cuts: Cuts) -> None:
    """Complete is said with the last byte, and not before."""
    data = stream(pages)
    progress = Progress()
    for piece in pieces(data[:-1], cuts):
        progress.feed(piece)
        assert not progress.complete
    progress.feed(data[-1:])
    assert progress.complete
    assert progress.pages == pages
    assert progress.total_bytes == len(data)


def test_bytes_behind_the_end_are_an_error() -> None:
    """Nothing belongs there."""
    progress = Progress()
    with pytest.raises(StreamError, match="behind"):
        progress.feed(stream(1) + b"x")


def test_pages_that_a_guest_does_not_have_are_not_counted() -> None:
    """libxc names pages without sending them."""
    empty = struct.pack("<II", 3, 0) + struct.pack("<QQQ", 1, 2, 3)
    data = fake.beginning(CONFIG, 2) + fake.record(1, empty) + fake.ending({})
    progress = Progress()
    progress.feed(data)
    assert (progress.pages, progress.complete) == (2, True)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"x" * 48, "not a stream of xl"),
        (fake.xl_header(b"{}", flags=1), "old format"),
        (fake.xl_header(b"{}") + b"y" * 16, "not a libxl stream"),
        (struct.pack("<32sIIII", fake.MAGIC, 0x01020304, 3, 0, 2**30), "configuration of"),
        (stream(0)[: fake.beginning(CONFIG, 0).index(b"XENF")] + b"y" * 40, "not a libxc stream"),
    ],
)
def test_what_is_no_stream_is_said_so(data: bytes, words: str) -> None:
    """Each of its headers is looked at."""
    progress = Progress()
    with pytest.raises(StreamError, match=words):
        progress.feed(data)


@given(st.text(max_size=80), CUTS)
def test_the_configuration_is_replaced_and_nothing_else(text: str, cuts: Cuts) -> None:
    """xl gets the text of a file in the place of the source's JSON."""
    data = stream(2)
    rewriter = Rewriter(text)
    made = b"".join(bytes(rewriter.feed(piece)) for piece in pieces(data, cuts))
    length = len(header(b"", json=True)) - 4
    old = struct.unpack_from("<I", data, length - 4)[0]
    assert made[length - 16 :][:4] == data[length - 16 :][:4]
    expected = header(text.encode(), json=False) + data[length + old :]
    assert made == expected

"""The stream's format finds every cut, flip, loss and repetition."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domwarden.embedded.memory import PAGE_BYTES
from domwarden.embedded.stream.frames import (
    FrameReader,
    FrameType,
    FrameWriter,
    StreamError,
    pack_pages,
    pack_section,
    unpack_pages,
    unpack_section,
)

FRAMES = [
    (FrameType.HELLO, b'{"domain": "web1"}'),
    (FrameType.PAGES, pack_pages({3: b"x" * PAGE_BYTES})),
    (FrameType.ZEROS, pack_pages({4: b"", 5: b""})),
    (FrameType.SECTION, pack_section("machine", b"\x01\x02")),
    (FrameType.END, b'{"pages": 3}'),
]


def encode(frames=FRAMES):
    parts = []

    async def send(data):
        parts.append(data)

    async def write():
        writer = FrameWriter(send)
        await writer.open()
        for kind, payload in frames:
            await writer.write(kind, payload)

    asyncio.run(write())
    return parts


def decode(data):
    """All frames up to END."""
    position = 0

    async def receive(count):
        nonlocal position
        position += count
        return data[position - count : position]

    async def read():
        reader = FrameReader(receive)
        await reader.open()
        frames = [await reader.read()]
        while frames[-1][0] is not FrameType.END:
            frames.append(await reader.read())
        return frames

    return asyncio.run(read())


WHOLE = b"".join(encode())


def test_what_was_written_is_read():
    assert decode(WHOLE) == FRAMES


@given(st.integers(0, len(WHOLE) - 1))
def test_stream_cut_anywhere_is_an_error(length):
    with pytest.raises(StreamError):
        decode(WHOLE[:length])


@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 7))
def test_flipped_bit_anywhere_is_an_error(at, bit):
    if 10 <= at < 12:
        return  # the reserved bytes of the preamble mean nothing yet
    damaged = bytearray(WHOLE)
    damaged[at] ^= 1 << bit
    with pytest.raises(StreamError):
        decode(bytes(damaged))


@pytest.mark.parametrize("index", range(1, len(FRAMES)))
def test_lost_and_repeated_frames_are_errors(index):
    parts = encode()
    with pytest.raises(StreamError):
        decode(b"".join(parts[:index] + parts[index + 1 :]))
    with pytest.raises(StreamError):
        decode(b"".join([*parts[: index + 1], *parts[index:]]))


@given(st.binary(max_size=200))
def test_garbage_is_an_error(data):
    with pytest.raises(StreamError):
        decode(data)
    with pytest.raises(StreamError):
        unpack_pages(b"\xff" + data, PAGE_BYTES)


def test_pages_and_sections_survive_their_encoding():
    pages = {7: b"a" * PAGE_BYTES, 9: b"b" * PAGE_BYTES}
    assert unpack_pages(pack_pages(pages), PAGE_BYTES) == pages
    assert unpack_section(pack_section("disk/é", b"\0")) == ("disk/é", b"\0")
    for broken in (b"", b"\x05\x00ab", b"\x02\x00\xff\xff"):
        with pytest.raises(StreamError):
            unpack_section(broken)

"""The format of a domain's stream, version 1.

::

    stream   = "DWSTREAM" version:u16 reserved:u16 frame*
    frame    = type:u8 reserved:3*u8 length:u32 sequence:u32 crc32:u32 payload:length*u8

All numbers are little-endian.  The checksum covers the frame's first 12 bytes and its payload; the
sequence counts frames from 0 in each direction, so a lost or doubled frame is found.  A payload has
at most 2 MiB.

======== =========== ============================================================================
type     from        payload
======== =========== ============================================================================
HELLO    source      JSON: domain, uuid, migration, memory_bytes, sections (names, in order)
PAGES    source      count:u32, count page numbers:u32, count pages of 4096 bytes
ZEROS    source      count:u32, count numbers:u32 of pages that hold zeros only
SECTION  source      length:u16, that many bytes of name, the device's own bytes
END      source      JSON: pages (how many in all frames), sections
READY    destination empty: this copy fits, send
RECEIVED destination empty: all of it arrived, was understood and is held
FAILED   destination text: why not
======== =========== ============================================================================

Pages may come any number of times, the last one counts; sections come after the last page.  A save
is the same stream in a file, without the destination's half.
"""

from __future__ import annotations

import enum
import json
import struct
import zlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

MAGIC = b"DWSTREAM"
VERSION = 1
LIMIT_BYTES = 2 * 1024 * 1024
PAGES_A_FRAME = 64
_PREAMBLE = struct.Struct("<8sHH")
_HEAD = struct.Struct("<B3xII")
_CHECKSUM = struct.Struct("<I")

Send = Callable[[bytes], Awaitable[None]]
Receive = Callable[[int], Awaitable[bytes]]


class FrameType(enum.IntEnum):
    """See the module's table."""

    HELLO = 1
    PAGES = 2
    ZEROS = 3
    SECTION = 4
    END = 5
    READY = 16
    RECEIVED = 17
    FAILED = 18


class StreamError(Exception):
    """The bytes are not a whole, sound stream."""


class FrameWriter:
    """Writes frames through ``send``."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._sequence = 0

    async def open(self) -> None:
        """Write what every stream begins with."""
        await self._send(_PREAMBLE.pack(MAGIC, VERSION, 0))

    async def write(self, kind: FrameType, payload: bytes = b"") -> int:
        """Write one frame; returns its length in bytes."""
        head = _HEAD.pack(kind, len(payload), self._sequence)
        self._sequence += 1
        checksum = zlib.crc32(payload, zlib.crc32(head))
        frame = head + _CHECKSUM.pack(checksum) + payload
        await self._send(frame)
        return len(frame)

    async def write_json(self, kind: FrameType, data: Mapping[str, Any]) -> int:
        """Write one frame of JSON."""
        return await self.write(kind, json.dumps(data).encode())


class FrameReader:
    """Reads frames through ``receive(n)``, which returns fewer than n bytes at the end only."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._sequence = 0

    async def open(self) -> None:
        """Read what every stream begins with; raises StreamError."""
        magic, version, _ = _PREAMBLE.unpack(await self._exactly(_PREAMBLE.size))
        if magic != MAGIC:
            raise StreamError("this is not a domain's stream")
        if version != VERSION:
            raise StreamError(f"the stream has version {version}, only {VERSION} is known here")

    async def read(self) -> tuple[FrameType, bytes]:
        """Read one frame; raises StreamError."""
        head = await self._exactly(_HEAD.size)
        (checksum,) = _CHECKSUM.unpack(await self._exactly(_CHECKSUM.size))
        kind, length, sequence = _HEAD.unpack(head)
        if length > LIMIT_BYTES:
            raise StreamError(f"the stream is corrupt: a frame of {length} bytes")
        payload = await self._exactly(length)
        if checksum != zlib.crc32(payload, zlib.crc32(head)):
            raise StreamError("the stream is corrupt: a frame's checksum does not match")
        if sequence != self._sequence:
            raise StreamError(f"the stream lost frames: {sequence} follows {self._sequence - 1}")
        self._sequence += 1
        try:
            return FrameType(kind), payload
        except ValueError as error:
            raise StreamError(f"the stream has a frame of unknown type {kind}") from error

    async def _exactly(self, count: int) -> bytes:
        data = await self._receive(count)
        if len(data) < count:
            raise StreamError("the stream ended too early")
        return data


def read_json(payload: bytes) -> dict[str, Any]:
    """Decode a frame of JSON; raises StreamError."""
    try:
        data = json.loads(payload)
    except ValueError as error:
        raise StreamError("the stream has a frame that is not JSON") from error
    if not isinstance(data, dict):
        raise StreamError("the stream has a frame that is no JSON object")
    return data


def pack_pages(pages: Mapping[int, bytes]) -> bytes:
    """Encode the payload of PAGES."""
    numbers = struct.pack(f"<I{len(pages)}I", len(pages), *pages)
    return numbers + b"".join(pages.values())


def unpack_pages(payload: bytes, page_bytes: int) -> dict[int, bytes]:
    """Decode PAGES, or ZEROS with ``page_bytes`` 0; raises StreamError."""
    count = int.from_bytes(payload[:4], "little")
    if len(payload) != 4 + count * (4 + page_bytes):
        raise StreamError("the stream has a frame of pages with a wrong length")
    numbers = struct.unpack_from(f"<{count}I", payload, 4)
    start = 4 + 4 * count
    return {
        number: payload[start + index * page_bytes : start + (index + 1) * page_bytes]
        for index, number in enumerate(numbers)
    }


def pack_section(name: str, data: bytes) -> bytes:
    """Encode the payload of SECTION."""
    encoded = name.encode()
    return len(encoded).to_bytes(2, "little") + encoded + data


def unpack_section(payload: bytes) -> tuple[str, bytes]:
    """Decode SECTION; raises StreamError."""
    length = int.from_bytes(payload[:2], "little")
    if len(payload) < 2 + length:
        raise StreamError("the stream has a section without a name")
    try:
        return payload[2 : 2 + length].decode(), payload[2 + length :]
    except UnicodeDecodeError as error:
        raise StreamError("the stream has a section with a broken name") from error

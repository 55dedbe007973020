"""The pieces in which the two ends of a link talk: a length, a kind, a body."""

from __future__ import annotations

import enum
import struct

_HEAD = struct.Struct(">IB")
HEAD_BYTES = _HEAD.size
#: The most that one piece carries.
LIMIT_BYTES = 4 * 1024 * 1024


class FrameError(ValueError):
    """The other end does not talk like one of us."""


class Kind(enum.IntEnum):
    """What a piece is."""

    #: Source: who it is; the body is JSON with the move and its token.
    HELLO = 1
    #: Destination: its receiver waits for the stream.
    WELCOME = 2
    #: Source: more of the stream.
    DATA = 3
    #: Either, every few seconds: it is alive.
    ALIVE = 4
    #: Destination: the copy is whole and held (xl's *ready*).
    READY = 5
    #: Source: is the copy still whole and held?
    ASK = 6
    #: Destination: it is; silence and a closed link mean no.
    HELD = 7
    #: Either: why it gives up.
    FAILED = 8


def frame(kind: Kind, body: bytes | memoryview = b"") -> bytes:
    """Return one piece as bytes."""
    return b"".join((_HEAD.pack(len(body), kind), body))


class Frames:
    """Cuts what arrives into pieces."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    @property
    def missing_bytes(self) -> int:
        """How many bytes the piece that has begun still lacks; 0 between two pieces."""
        if len(self._buffer) < HEAD_BYTES:
            return 0
        length, _ = _HEAD.unpack_from(self._buffer)
        return HEAD_BYTES + int(length) - len(self._buffer)

    def feed(self, data: bytes) -> list[tuple[Kind, bytes]]:
        """Take more bytes; returns the pieces that are complete by now; raises FrameError."""
        self._buffer += data
        found = []
        at = 0
        while len(self._buffer) - at >= HEAD_BYTES:
            length, number = _HEAD.unpack_from(self._buffer, at)
            if length > LIMIT_BYTES or number not in _KINDS:
                raise FrameError(f"no piece begins with {bytes(self._buffer[at : at + 16])!r}")
            end = at + HEAD_BYTES + length
            if len(self._buffer) < end:
                break
            found.append((Kind(number), bytes(self._buffer[at + HEAD_BYTES : end])))
            at = end
        del self._buffer[:at]
        return found


_KINDS = frozenset(Kind)

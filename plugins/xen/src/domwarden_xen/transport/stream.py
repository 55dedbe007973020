"""How far a domain's stream is, read from the headers of its records.

``xl`` writes its own header with the domain's configuration (tools/xl/xl.h, struct
save_file_header), libxl its records (docs/specs/libxl-migration-stream.pandoc, version 2), and
among them libxc the memory (docs/specs/libxc-migration-stream.pandoc, version 2 and 3).  xl 4.17
prints no progress while it migrates, so this is where it comes from; a save has nobody else who
could say that it is complete.
"""

from __future__ import annotations

import struct
from collections.abc import Generator

MAGIC = b"Xen saved domain, xl format\n \0 \r"
_XL_HEADER = struct.Struct("<32sIIII")
_BYTE_ORDER = 0x01020304
#: Bits of the mandatory flags: the configuration is libxl's JSON; the stream has version 2.
JSON_CONFIGURATION, STREAM_V2 = 1, 2

_LIBXL_HEADER = struct.Struct(">8sII")
_RECORD = struct.Struct("<II")
_LIBXL_END, _LIBXL_LIBXC_CONTEXT = 0, 1
_LIBXC_MARKER = b"\xff" * 8 + b"XENF"
_LIBXC_HEADERS_BYTES = 24 + 16
_LIBXC_END, _LIBXC_PAGE_DATA = 0, 1
PAGE_BYTES = 4096
#: A configuration that is larger is none.
_MOST_OPTIONAL_BYTES = 16 * 1024 * 1024


class StreamError(ValueError):
    """The bytes are not a stream that this module knows."""


class Progress:
    """Follows a stream that is fed to it in pieces; it keeps none of the memory."""

    def __init__(self) -> None:
        #: Bytes of the whole stream so far.
        self.total_bytes = 0
        #: Pages of memory so far, those that were sent again counted again.
        self.pages = 0
        self.complete = False
        self._wanted = bytearray()
        self._skip = 0
        self._parser = self._parse()
        self._need = next(self._parser)

    def feed(self, data: bytes | memoryview) -> None:
        """Take more of the stream; raises StreamError, also for bytes behind its end."""
        view = memoryview(data)
        self.total_bytes += len(view)
        while view:
            if self.complete:
                raise StreamError(f"{len(view)} bytes behind the stream's end")
            if self._skip:
                skipped = min(self._skip, len(view))
                self._skip -= skipped
                view = view[skipped:]
                continue
            taken = min(self._need - len(self._wanted), len(view))
            self._wanted += view[:taken]
            view = view[taken:]
            if len(self._wanted) == self._need:
                self._advance()

    def _advance(self) -> None:
        piece = bytes(self._wanted)
        self._wanted.clear()
        try:
            self._need = self._parser.send(piece)
        except StopIteration:
            self.complete = True

    def _parse(self) -> Generator[int, bytes, None]:
        """Ask for so many bytes at a time; what lies between is skipped."""
        optional = optional_bytes((yield _XL_HEADER.size))
        self._skip = optional
        ident, version, _options = _LIBXL_HEADER.unpack((yield _LIBXL_HEADER.size))
        if ident != b"LibxlFmt" or version != 2:
            raise StreamError(f"not a libxl stream of version 2: {ident!r}, {version}")
        while True:
            kind, length = _RECORD.unpack((yield _RECORD.size))
            if kind == _LIBXL_END:
                return
            if kind == _LIBXL_LIBXC_CONTEXT:
                yield from self._parse_memory()
            else:
                self._skip = _padded(length)

    def _parse_memory(self) -> Generator[int, bytes, None]:
        head = yield _LIBXC_HEADERS_BYTES
        if not head.startswith(_LIBXC_MARKER):
            raise StreamError(f"not a libxc stream: {head[:12]!r}")
        while True:
            kind, length = _RECORD.unpack((yield _RECORD.size))
            if kind == _LIBXC_END:
                self._skip = _padded(length)
                return
            if kind == _LIBXC_PAGE_DATA and length >= 8:
                count, _reserved = _RECORD.unpack((yield _RECORD.size))
                # A number of 8 bytes for each page, also for the many that a guest does not have.
                self.pages += (length - 8 - 8 * count) // PAGE_BYTES
                self._skip = _padded(length) - 8
            else:
                self._skip = _padded(length)


class Rewriter:
    """Puts another configuration into a stream that passes through it.

    The copy is then made with the paths and bridges of the host it comes to: ``xl`` reads a
    configuration without the JSON flag as the text of a file.
    """

    def __init__(self, configuration: str) -> None:
        self._configuration = configuration.encode()
        self._buffer = bytearray()
        self._through = False

    def feed(self, data: bytes | memoryview) -> bytes | memoryview:
        """Take a piece of the stream; returns what is to be passed on; raises StreamError."""
        if self._through:
            return data
        self._buffer += data
        if len(self._buffer) < _XL_HEADER.size:
            return b""
        head = bytes(self._buffer[: _XL_HEADER.size])
        end = _XL_HEADER.size + optional_bytes(head)
        if len(self._buffer) < end:
            return b""
        _magic, order, mandatory, optional, _length = _XL_HEADER.unpack(head)
        text = struct.pack("<I", len(self._configuration)) + self._configuration
        mandatory &= ~JSON_CONFIGURATION
        rest = self._buffer[end:]
        self._buffer.clear()
        self._through = True
        return _XL_HEADER.pack(MAGIC, order, mandatory, optional, len(text)) + text + rest


def header(configuration: bytes, *, json: bool) -> bytes:
    """Return what stands before libxl's stream."""
    text = struct.pack("<I", len(configuration)) + configuration
    flags = STREAM_V2 | (JSON_CONFIGURATION if json else 0)
    return _XL_HEADER.pack(MAGIC, _BYTE_ORDER, flags, 0, len(text)) + text


def optional_bytes(head: bytes) -> int:
    """Return how long the part with the configuration is; raises StreamError."""
    magic, order, mandatory, _optional, length = _XL_HEADER.unpack(head)
    if magic != MAGIC or order != _BYTE_ORDER:
        raise StreamError("this is not a stream of xl")
    if not mandatory & STREAM_V2:
        raise StreamError("the stream has libxl's old format")
    if length > _MOST_OPTIONAL_BYTES:
        raise StreamError(f"a configuration of {length} bytes")
    return int(length)


def _padded(length: int) -> int:
    return -(-length // 8) * 8

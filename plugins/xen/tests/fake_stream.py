"""The bytes of a stream as ``xl migrate`` sends them, for the fake xl and for tests."""

from __future__ import annotations

import json
import struct
from typing import Any

MAGIC = b"Xen saved domain, xl format\n \0 \r"


def record(kind: int, body: bytes = b"") -> bytes:
    """Return one record of either stream."""
    return struct.pack("<II", kind, len(body)) + body + b"\0" * (-len(body) % 8)


def xl_header(config: bytes, *, flags: int = 3) -> bytes:
    """Return what stands before libxl's stream."""
    text = struct.pack("<I", len(config)) + config
    return struct.pack("<32sIIII", MAGIC, 0x01020304, flags, 0, len(text)) + text


def memory(pages: int) -> bytes:
    """Return libxc's part of a stream, as far as its last page."""
    head = b"\xff" * 8 + b"XENF" + struct.pack(">I", 3) + b"\0" * 8
    head += struct.pack("<IHHII", 2, 12, 0, 4, 17)
    body = struct.pack("<II", pages, 0) + b"".join(struct.pack("<Q", n) for n in range(pages))
    return head + record(1, body + b"\xa5" * 4096 * pages)


def beginning(config: dict[str, Any], pages: int) -> bytes:
    """Return a stream as far as the running domain's memory goes."""
    head = xl_header(json.dumps({"config": config}).encode() + b"\0")
    head += struct.pack(">8sII", b"LibxlFmt", 2, 0)
    return head + record(1) + memory(pages)


def ending(guest: dict[str, Any]) -> bytes:
    """Return the rest of a stream; the guest travels in what is the device model's state."""
    text = json.dumps(guest).encode()
    return record(0) + record(3, struct.pack("<II", 1, 0) + text) + record(0)

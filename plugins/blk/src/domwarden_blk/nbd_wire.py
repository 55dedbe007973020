"""Numbers and layouts of the NBD protocol.

https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md
"""

from __future__ import annotations

import asyncio
import enum
import struct

from domwarden.contract import PermanentError

MAGIC = b"NBDMAGIC"
OPTION_MAGIC = b"IHAVEOPT"
FIXED_NEWSTYLE = 1
NO_ZEROES = 2
OPTION_EXPORT_NAME = 1
OPTION_STARTTLS = 5
OPTION_LIMIT_BYTES = 4096
OPTION_REPLY_MAGIC = 0x3E889045565A9
REPLY_ACK = 1
REPLY_UNSUPPORTED = 1 << 31 | 1
TRANSMISSION_HAS_FLAGS = 1
TRANSMISSION_SEND_FLUSH = 4
REQUEST_MAGIC = 0x25609513
REPLY_MAGIC = 0x67446698
#: What every server must take in one request.
REQUEST_LIMIT_BYTES = 32 * 2**20
EIO = 5
EINVAL = 22
ENOSPC = 28

#: magic, option magic, handshake flags
GREETING = struct.Struct(">8s8sH")
#: option magic, option, length
OPTION = struct.Struct(">8sII")
#: magic, option, kind, length
OPTION_REPLY = struct.Struct(">QIII")
#: size in bytes, transmission flags
EXPORT = struct.Struct(">QH")
#: magic, flags, command, handle, offset, length
REQUEST = struct.Struct(">IHHQQI")
#: magic, error, handle
REPLY = struct.Struct(">IIQ")


class Command(enum.IntEnum):
    """What a client may ask for once it has an export."""

    READ = 0
    WRITE = 1
    DISCONNECT = 2
    FLUSH = 3


async def end_plain(reader: asyncio.StreamReader) -> None:
    """See that nothing came ahead of TLS, which would pass for what it protects.

    Raises PermanentError (CVE-2021-39272 is one of many such).
    """
    try:
        async with asyncio.timeout(0):
            early = await reader.read(1)  # returns at once only what was there before
    except TimeoutError:
        return
    if early:
        raise PermanentError("somebody spoke ahead of TLS")

"""The registers of the disk that guests of the ``embedded`` engine know."""

from __future__ import annotations

import enum

#: The guest probes ``DISK_BASE + n * DISK_STRIDE`` on the memory bus for n below ``DISK_SLOTS``.
DISK_BASE = 0xD000_0000
DISK_STRIDE = 0x1000
DISK_SLOTS = 16
DISK_SECTOR_BYTES = 512


class DiskRegister(enum.IntEnum):
    """Offsets of registers of 32 bits; the data window also takes accesses of 1 or 2 bytes."""

    #: Reads DISK_MAGIC.
    MAGIC = 0x00
    #: Sectors of the disk, low and high half.
    SECTORS_LOW = 0x04
    SECTORS_HIGH = 0x08
    #: The sector that the next command is about.
    SECTOR_LOW = 0x0C
    SECTOR_HIGH = 0x10
    #: Writing a DiskCommand here carries it out before the write returns.
    COMMAND = 0x14
    #: 0 after a command that succeeded, else an errno.
    STATUS = 0x18
    #: 512 bytes: what was read, or what is to be written.
    DATA = 0x200


#: "DWBD" in the guest's little-endian order.
DISK_MAGIC = int.from_bytes(b"DWBD", "little")


class DiskCommand(enum.IntEnum):
    """What the guest may ask of a disk."""

    READ = 1
    WRITE = 2
    FLUSH = 3

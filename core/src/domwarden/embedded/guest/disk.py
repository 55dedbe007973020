"""The guest's driver of the embedded disk."""

from __future__ import annotations

from domwarden.contract import (
    DISK_BASE,
    DISK_MAGIC,
    DISK_SECTOR_BYTES,
    DISK_SLOTS,
    DISK_STRIDE,
    DiskCommand,
    DiskRegister,
)
from domwarden.embedded.machine import EmbeddedMachine


def first_disk(machine: EmbeddedMachine) -> int:
    """Return the base of the first disk's registers, 0 without a disk."""
    for slot in range(DISK_SLOTS):
        base = DISK_BASE + slot * DISK_STRIDE
        if machine.mmio.read(base + DiskRegister.MAGIC, 4) == DISK_MAGIC:
            return base
    return 0


def write_sector(machine: EmbeddedMachine, base: int, sector: int, data: bytes) -> int:
    """Write one sector; returns 0 or an errno."""
    padded = data.ljust(DISK_SECTOR_BYTES, b"\0")[:DISK_SECTOR_BYTES]
    for offset in range(0, DISK_SECTOR_BYTES, 4):
        word = int.from_bytes(padded[offset : offset + 4], "little")
        machine.mmio.write(base + DiskRegister.DATA + offset, 4, word)
    return _command(machine, base, sector, DiskCommand.WRITE)


def read_sector(machine: EmbeddedMachine, base: int, sector: int) -> tuple[int, bytes]:
    """Read one sector; returns 0 or an errno, and the bytes."""
    error = _command(machine, base, sector, DiskCommand.READ)
    words = (
        machine.mmio.read(base + DiskRegister.DATA + offset, 4)
        for offset in range(0, DISK_SECTOR_BYTES, 4)
    )
    return error, b"".join(word.to_bytes(4, "little") for word in words)


def _command(machine: EmbeddedMachine, base: int, sector: int, command: DiskCommand) -> int:
    machine.mmio.write(base + DiskRegister.SECTOR_LOW, 4, sector & 0xFFFF_FFFF)
    machine.mmio.write(base + DiskRegister.SECTOR_HIGH, 4, sector >> 32)
    machine.mmio.write(base + DiskRegister.COMMAND, 4, command)
    return machine.mmio.read(base + DiskRegister.STATUS, 4)

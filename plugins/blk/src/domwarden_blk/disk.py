"""The disk of an embedded machine: the contract's registers in front of a file."""

from __future__ import annotations

import errno
import os
import struct
import weakref
from pathlib import Path

from domwarden.contract import (
    DISK_BASE,
    DISK_MAGIC,
    DISK_SECTOR_BYTES,
    DISK_SLOTS,
    DISK_STRIDE,
    DiskCommand,
    DiskRegister,
    Machine,
)

#: What one dirty mark covers.
BLOCK_BYTES = 64 * 1024

_STATE = struct.Struct("<BQI")
_VERSION = 1
_HALF = 0xFFFFFFFF
_WINDOW_END = DiskRegister.DATA + DISK_SECTOR_BYTES


def _in_window(offset: int, size: int) -> bool:
    return offset >= DiskRegister.DATA and offset + size <= _WINDOW_END


class Disk:
    """One disk: a sector's number, a window of 512 bytes, and commands that finish at once."""

    def __init__(self, path: Path, *, readonly: bool) -> None:
        self._path = path
        self._readonly = readonly
        self._file: int | None = None
        self._sector = 0
        self._status = 0
        self._window = bytearray(DISK_SECTOR_BYTES)
        #: Blocks the guest wrote since the mirror last looked; None while nobody mirrors.
        self.dirty: set[int] | None = None

    @property
    def file(self) -> int:
        """The image's descriptor; it stays the same file when the image is renamed.

        Opened at first use: the image need not be there when the machine is described.
        """
        if self._file is None:
            flags = os.O_RDONLY if self._readonly else os.O_RDWR
            self._file = os.open(self._path, flags | os.O_CLOEXEC)
            # Also of one let go: who serves it may still read from it.
            weakref.finalize(self, os.close, self._file)
        return self._file

    def use(self, path: Path) -> None:
        """Have the disk in that file; one opened under another name is let go."""
        if path != self._path:
            self._path, self._file = path, None

    @property
    def size_bytes(self) -> int:
        """How large the disk is."""
        return os.lseek(self.file, 0, os.SEEK_END)

    def read(self, offset: int, size: int) -> int:
        """Read a register."""
        if _in_window(offset, size):
            at = offset - DiskRegister.DATA
            return int.from_bytes(self._window[at : at + size], "little")
        if size != 4:
            return (1 << 8 * size) - 1
        match offset:
            case DiskRegister.MAGIC:
                return DISK_MAGIC
            case DiskRegister.SECTORS_LOW:
                return self.size_bytes // DISK_SECTOR_BYTES & _HALF
            case DiskRegister.SECTORS_HIGH:
                return self.size_bytes // DISK_SECTOR_BYTES >> 32
            case DiskRegister.SECTOR_LOW:
                return self._sector & _HALF
            case DiskRegister.SECTOR_HIGH:
                return self._sector >> 32
            case DiskRegister.STATUS:
                return self._status
        return _HALF

    def write(self, offset: int, size: int, value: int) -> None:
        """Write a register."""
        if _in_window(offset, size):
            at = offset - DiskRegister.DATA
            self._window[at : at + size] = value.to_bytes(size, "little")
        elif size == 4:
            match offset:
                case DiskRegister.SECTOR_LOW:
                    self._sector = self._sector & ~_HALF | value
                case DiskRegister.SECTOR_HIGH:
                    self._sector = self._sector & _HALF | value << 32
                case DiskRegister.COMMAND:
                    try:
                        self._status = self._perform(value)
                    except OSError as error:
                        self._status = error.errno or errno.EIO

    def reset(self) -> None:
        """Forget what the guest was doing; the image keeps what was written."""
        self._sector = self._status = 0
        self._window[:] = bytes(DISK_SECTOR_BYTES)

    def save(self) -> bytes:
        """Return the registers and the window; the image does not travel in the stream."""
        return _STATE.pack(_VERSION, self._sector, self._status) + bytes(self._window)

    def load(self, data: bytes) -> None:
        """Take over what :meth:`save` returned; raises ValueError for another version."""
        if len(data) != _STATE.size + DISK_SECTOR_BYTES or data[0] != _VERSION:
            raise ValueError("the disk's state is of an unknown version")
        _, self._sector, self._status = _STATE.unpack_from(data)
        self._window[:] = data[_STATE.size :]
        os.fstat(self.file)  # opened now: an arriving image gets another name later

    def _perform(self, command: int) -> int:
        if command == DiskCommand.FLUSH:
            os.fsync(self.file)
            return 0
        offset = self._sector * DISK_SECTOR_BYTES
        if offset + DISK_SECTOR_BYTES > self.size_bytes:
            return errno.EINVAL
        if command == DiskCommand.READ:
            self._window[:] = os.pread(self.file, DISK_SECTOR_BYTES, offset)
            return 0
        if command != DiskCommand.WRITE:
            return errno.EINVAL
        if self._readonly:
            return errno.EROFS
        os.pwrite(self.file, self._window, offset)
        if self.dirty is not None:
            self.dirty.add(offset // BLOCK_BYTES)
        return 0


def plug(machine: Machine, disk: Disk) -> None:
    """Put the disk into the first free slot that guests probe; raises ValueError without one."""
    for slot in range(DISK_SLOTS):
        try:
            machine.map_mmio(DISK_BASE + slot * DISK_STRIDE, DISK_STRIDE, disk)
        except ValueError:
            continue
        return
    raise ValueError(f"a guest knows no more than {DISK_SLOTS} disks")

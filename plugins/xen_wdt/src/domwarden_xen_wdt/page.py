"""A page of memory that stays where it is, for a hypervisor to read."""

from __future__ import annotations

import ctypes
import mmap
import os

#: Linux' <asm/mman.h> on x86-64; Python's mmap module names it from 3.13 on.
_MAP_LOCKED = 0x2000


class Page:
    """One locked, anonymous page; Xen reads it by its virtual address, and does not fault it in."""

    def __init__(self) -> None:
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        try:
            self._map = mmap.mmap(-1, mmap.PAGESIZE, flags=flags | _MAP_LOCKED | mmap.MAP_POPULATE)
        except OSError:
            # RLIMIT_MEMLOCK of a user: what was written a moment ago is in memory all the same
            self._map = mmap.mmap(-1, mmap.PAGESIZE, flags=flags | mmap.MAP_POPULATE)
        # After a fork the first write would move the page away under the hypervisor's eyes.
        self._map.madvise(mmap.MADV_DONTFORK)
        self._owner = os.getpid()

    @property
    def address(self) -> int:
        """Its virtual address in this process."""
        return ctypes.addressof(ctypes.c_char.from_buffer(self._map))

    def write(self, data: bytes) -> int:
        """Put data at its beginning; return the address. Raises RuntimeError in a child."""
        if os.getpid() != self._owner:
            raise RuntimeError("the page did not come along into the forked process")
        self._map[: len(data)] = data
        return self.address

    def close(self) -> None:
        """Give the page back."""
        self._map.close()

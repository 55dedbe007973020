"""A guest's memory in pages of 4 KiB, with a record of which were written."""

from __future__ import annotations

from collections.abc import Iterable

PAGE_BYTES = 4096
_ZEROS = bytes(PAGE_BYTES)


class MemoryFaultError(Exception):
    """An access outside of the memory."""


class PagedMemory:
    """Sparse memory: a page that was never written reads as zeros and costs nothing."""

    def __init__(self, size_bytes: int) -> None:
        if size_bytes <= 0 or size_bytes % PAGE_BYTES:
            raise ValueError(f"memory of {size_bytes} bytes is not whole pages of {PAGE_BYTES}")
        self.size_bytes = size_bytes
        self._pages: dict[int, bytearray] = {}
        self._dirty: set[int] = set()

    def read(self, address: int, length: int) -> bytes:
        """Return bytes; raises MemoryFaultError outside of the memory."""
        self._check(address, length)
        parts = []
        while length:
            number, offset = divmod(address, PAGE_BYTES)
            count = min(length, PAGE_BYTES - offset)
            parts.append(self._pages.get(number, _ZEROS)[offset : offset + count])
            address, length = address + count, length - count
        return b"".join(parts)

    def read_upto(self, address: int, length: int) -> bytes:
        """Return as many of the bytes as there are; none for an address outside."""
        if not 0 <= address < self.size_bytes:
            return b""
        return self.read(address, min(length, self.size_bytes - address))

    def write(self, address: int, data: bytes) -> None:
        """Write bytes, and mark their pages as dirty."""
        self._check(address, len(data))
        view = memoryview(data)
        while view:
            number, offset = divmod(address, PAGE_BYTES)
            count = min(len(view), PAGE_BYTES - offset)
            page = self._pages.get(number)
            if page is None:
                page = self._pages[number] = bytearray(PAGE_BYTES)
            page[offset : offset + count] = view[:count]
            self._dirty.add(number)
            address, view = address + count, view[count:]

    def page(self, number: int) -> bytes:
        """Return a copy of one page."""
        return bytes(self._pages.get(number, _ZEROS))

    def used_pages(self) -> set[int]:
        """Return the numbers of the pages that were ever written."""
        return set(self._pages)

    def take_dirty(self) -> set[int]:
        """Return the pages written since the last call."""
        taken, self._dirty = self._dirty, set()
        return taken

    def mark_dirty(self, pages: Iterable[int]) -> None:
        """Put pages back that were taken and could not be used."""
        self._dirty.update(pages)

    @property
    def dirty_pages(self) -> int:
        """How many pages were written since they were last taken."""
        return len(self._dirty)

    def clear(self) -> None:
        """Make all of it zero, as a power cycle does."""
        for number, page in self._pages.items():
            page[:] = _ZEROS
            self._dirty.add(number)

    def _check(self, address: int, length: int) -> None:
        if address < 0 or address + length > self.size_bytes:
            raise MemoryFaultError(f"{length} bytes at {address:#x} are outside of the memory")

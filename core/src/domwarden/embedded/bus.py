"""Buses on which registers sit at addresses."""

from __future__ import annotations

import bisect

from domwarden.contract import BusDevice


class AddressBus:
    """Registers by address; what nobody answers reads as all ones and swallows writes."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._bases: list[int] = []
        self._ranges: dict[int, tuple[int, BusDevice]] = {}

    def map(self, base: int, size: int, device: BusDevice) -> None:
        """Put registers at ``base``; raises ValueError on an overlap."""
        index = bisect.bisect_right(self._bases, base)
        before = self._bases[index - 1] if index else None
        after = self._bases[index] if index < len(self._bases) else None
        if (before is not None and before + self._ranges[before][0] > base) or (
            after is not None and base + size > after
        ):
            raise ValueError(f"{self.name}: {base:#x}+{size:#x} overlaps another device")
        self._bases.insert(index, base)
        self._ranges[base] = (size, device)

    def unmap(self, base: int) -> None:
        """Take away what was mapped at ``base``; idempotent."""
        if self._ranges.pop(base, None) is not None:
            self._bases.remove(base)

    def answers(self, address: int) -> bool:
        """Say whether a device sits at the address."""
        return self._find(address, 1) is not None

    def read(self, address: int, size: int) -> int:
        """Read 1, 2 or 4 bytes, little-endian."""
        found = self._find(address, size)
        value = found[0].read(found[1], size) if found else -1
        return value & ((1 << 8 * size) - 1)

    def write(self, address: int, size: int, value: int) -> None:
        """Write 1, 2 or 4 bytes, little-endian."""
        found = self._find(address, size)
        if found:
            found[0].write(found[1], size, value & ((1 << 8 * size) - 1))

    def _find(self, address: int, size: int) -> tuple[BusDevice, int] | None:
        index = bisect.bisect_right(self._bases, address)
        if not index:
            return None
        base = self._bases[index - 1]
        length, device = self._ranges[base]
        return (device, address - base) if address + size <= base + length else None

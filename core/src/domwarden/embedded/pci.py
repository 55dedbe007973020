"""The bridge between the port bus and the PCI slots: ports 0xcf8 and 0xcfc.

PCI Local Bus Specification 3.0, 3.2.2.3.2, configuration mechanism 1.
"""

from __future__ import annotations

from domwarden.contract import BusDevice

CONFIG_ADDRESS = 0xCF8
CONFIG_DATA = 0xCFC
ENABLE = 1 << 31


class PciBridge:
    """Bus 0 with 31 slots for devices of one function each; slot 0 is the bridge itself."""

    def __init__(self) -> None:
        self._slots: dict[int, BusDevice] = {}
        self.address = 0

    def plug(self, slot: int, config: BusDevice) -> None:
        """Put a configuration space into a slot; raises ValueError when it is taken."""
        if not 1 <= slot <= 31:
            raise ValueError(f"PCI: there is no slot {slot}, only 1 to 31")
        if slot in self._slots:
            raise ValueError(f"PCI: slot {slot} is taken")
        self._slots[slot] = config

    def read(self, offset: int, size: int) -> int:
        """Read one of the eight ports."""
        if offset < 4:
            return self.address >> 8 * offset
        config = self._selected()
        return config.read((self.address & 0xFC) + offset - 4, size) if config else -1

    def write(self, offset: int, size: int, value: int) -> None:
        """Write one of the eight ports; the address register takes 32-bit writes only."""
        if offset == 0 and size == 4:
            self.address = value & 0x80FFFFFC
        elif offset >= 4:
            config = self._selected()
            if config:
                config.write((self.address & 0xFC) + offset - 4, size, value)

    def _selected(self) -> BusDevice | None:
        if not self.address & ENABLE or self.address >> 8 & 0xFF07:
            return None  # another bus or function
        return self._slots.get(self.address >> 11 & 0x1F)

"""The configuration space of a PCI function with one memory BAR."""

from __future__ import annotations

from collections.abc import Callable

from domwarden_hvm_wdt.access import read_pieces, write_pieces

SIZE = 256
COMMAND = 0x04
CACHE_LINE_SIZE = 0x0C
BAR0 = 0x10
INTERRUPT_LINE = 0x3C
#: Command register: decode memory.
MEMORY = 0x0002
#: Command register: the bits a function implements (I/O, memory, master, SERR#, INTx off).
COMMAND_MASK = 0x0507
#: Subsystem 1af4:1100, which QEMU gives to every card that has none of its own.
SUBSYSTEM = 0x1100_1AF4


class ConfigSpace:
    """256 bytes with a write mask each, as the PCI Local Bus Specification 3.0, 6.1 lays them out.

    ``moved`` is called after a write or a reset that may have changed :attr:`bar_address`.  Beyond
    the header every byte is plain storage, except where a subclass puts a register.
    """

    def __init__(self, *, vendor: int, device: int, class_code: int, bar_bytes: int) -> None:
        self.bytes = bytearray(SIZE)
        self.moved: Callable[[], None] = lambda: None
        self._bar_bytes = bar_bytes
        self._mask = bytearray(0x40) + b"\xff" * (SIZE - 0x40)
        self._mask[CACHE_LINE_SIZE] = self._mask[INTERRUPT_LINE] = 0xFF
        for offset, width, value in ((COMMAND, 2, COMMAND_MASK), (BAR0, 4, 2**32 - bar_bytes)):
            self._mask[offset : offset + width] = value.to_bytes(width, "little")
        for offset, width, value in (
            (0x00, 2, vendor),
            (0x02, 2, device),
            (0x0A, 2, class_code),
            (0x2C, 4, SUBSYSTEM),
        ):
            self.bytes[offset : offset + width] = value.to_bytes(width, "little")

    @property
    def bar_address(self) -> int | None:
        """Where the function's registers are in memory; None while they are not decoded.

        Neither address 0 nor the last bytes below 4 GiB are decoded (QEMU's ``pci_bar_address``).
        """
        if not self._word(COMMAND, 2) & MEMORY:
            return None
        address = self._word(BAR0, 4) & -self._bar_bytes
        return address if 0 < address < 2**32 - self._bar_bytes else None

    def read(self, offset: int, size: int) -> int:
        """Read 1, 2 or 4 bytes."""
        return read_pieces(self.read_register, offset, size)

    def write(self, offset: int, size: int, value: int) -> None:
        """Write 1, 2 or 4 bytes."""
        write_pieces(self.write_register, offset, size, value)

    def read_register(self, offset: int, size: int) -> int:
        """Read one aligned register; all ones beyond the space."""
        return self._word(offset, size) if offset < SIZE else (1 << 8 * size) - 1

    def write_register(self, offset: int, size: int, value: int) -> None:
        """Write one aligned register where its mask lets it."""
        if offset >= SIZE:
            return
        for at, byte in enumerate(value.to_bytes(size, "little"), offset):
            self.bytes[at] = self.bytes[at] & ~self._mask[at] | byte & self._mask[at]
        if offset < 0x28:
            self.moved()

    def reset(self) -> None:
        """Forget what a bus reset clears; storage beyond the header stays."""
        for offset, size in ((COMMAND, 2), (CACHE_LINE_SIZE, 1), (BAR0, 4), (INTERRUPT_LINE, 1)):
            for at in range(offset, offset + size):
                self.bytes[at] &= ~self._mask[at] & 0xFF
        self.moved()

    def _word(self, offset: int, size: int) -> int:
        return int.from_bytes(self.bytes[offset : offset + size], "little")

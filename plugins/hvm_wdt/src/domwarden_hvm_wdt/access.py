"""How a bus access that is not naturally aligned reaches registers."""

from __future__ import annotations

from collections.abc import Callable, Iterator


def pieces(offset: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield the naturally aligned accesses, lowest first, that an access is carried out as.

    QEMU's memory core bounds each part by the alignment of its offset (``memory_access_size``).
    """
    while size:
        part = min(1 << size.bit_length() - 1, offset & -offset or size)
        yield offset, part
        offset, size = offset + part, size - part


def read_pieces(read: Callable[[int, int], int], offset: int, size: int) -> int:
    """Read in pieces; little-endian."""
    value = 0
    for at, part in pieces(offset, size):
        value |= read(at, part) << 8 * (at - offset)
    return value


def write_pieces(
    write: Callable[[int, int, int], None], offset: int, size: int, value: int
) -> None:
    """Write in pieces; little-endian."""
    for at, part in pieces(offset, size):
        write(at, part, value >> 8 * (at - offset) & (1 << 8 * part) - 1)

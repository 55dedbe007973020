"""What an image holds, block by block, in few bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from domwarden_blk.digest import region_bytes

BLOCK_BYTES = 2**20
SUM_BYTES = 16


def sum_of(block: bytes) -> bytes:
    """Return a block's sum, which no other content has."""
    return hashlib.blake2b(block, digest_size=SUM_BYTES).digest()


def spans(size_bytes: int) -> Iterator[tuple[int, int]]:
    """Return each block's offset and length."""
    for offset in range(0, size_bytes, BLOCK_BYTES):
        yield offset, min(BLOCK_BYTES, size_bytes - offset)


def regions(sums: list[bytes], size_bytes: int) -> list[str]:
    """Return one digest a region, as few as fit into a ticket."""
    each = region_bytes(size_bytes) // BLOCK_BYTES
    batches = (sums[at : at + each] for at in range(0, len(sums), each))
    return [sum_of(b"".join(batch)).hex() for batch in batches]


def pack(sums: list[bytes]) -> bytes:
    """Return sums as they are kept in a file."""
    return b"".join(sums)


def unpack(data: bytes) -> list[bytes]:
    """Return the sums that :func:`pack` packed."""
    return [data[at : at + SUM_BYTES] for at in range(0, len(data), SUM_BYTES)]

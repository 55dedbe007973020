"""Comparing what the guest sees of a disk on two hosts without sending the disk."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from domwarden.contract import JobContext, PermanentError
from domwarden_blk.nbd_client import NbdClient, connected
from domwarden_blk.travel import Secured

_CHUNK_BYTES = 2 * 2**20
_ALIGNMENT_BYTES = 4 * 2**20
#: So many digests fit into a ticket with room to spare.
_REGIONS = 128
_SAMPLE_BYTES = 64 * 2**20


def region_bytes(size_bytes: int) -> int:
    """Return how much of the disk one digest covers."""
    blocks = -(-size_bytes // (_REGIONS * _ALIGNMENT_BYTES))
    return max(1, blocks) * _ALIGNMENT_BYTES


async def digests_of(
    address: Mapping[str, Any],
    export: str,
    context: JobContext | None = None,
    secured: Secured | None = None,
) -> list[str]:
    """Return one digest a region of an NBD export; raises PermanentError."""
    found: list[str] = []
    async with connected(address, export, secured) as client:
        step = region_bytes(client.size_bytes)
        for start in range(0, client.size_bytes, step):
            found.append(await _digest(client, start, min(start + step, client.size_bytes)))
            if context is not None:
                done = min(start + step, client.size_bytes)
                context.report("comparing", done=done, total=client.size_bytes)
    return found


async def _digest(client: NbdClient, start: int, end: int) -> str:
    digest = hashlib.blake2b(digest_size=16)
    pieces = [(at, min(_CHUNK_BYTES, end - at)) for at in range(start, end, _CHUNK_BYTES)]
    handle = client.send_read(*pieces[0])
    for (_, length), after in zip(pieces, [*pieces[1:], None], strict=True):
        data = await client.receive(handle, length)
        if after is not None:
            # The server reads while this piece is hashed; one at a time, as answers may overtake.
            handle = client.send_read(*after)
        await asyncio.to_thread(digest.update, data)
    return digest.hexdigest()


def require_same(here: Sequence[str], there: Sequence[str], size_bytes: int) -> None:
    """Raise PermanentError that names where the two ends differ."""
    if len(here) != len(there):
        raise PermanentError(f"the target has {len(here)} regions, the source {len(there)}")
    step = region_bytes(size_bytes)
    pairs = zip(here, there, strict=True)
    wrong = [number for number, (mine, other) in enumerate(pairs) if mine != other]
    if wrong:
        places = ", ".join(f"{number * step // 2**20} MiB" for number in wrong[:8])
        raise PermanentError(
            f"the mirrored disk differs from its source in the regions at {places}"
        )


def expected_seconds(image: Path, size_bytes: int) -> float:
    """Estimate how long comparing takes: both ends read and hash the disk, one after the other.

    Measured on the first 64 MiB of the image; blocks, so call it in a thread.  The time is doubled
    because the bytes also pass through a socket.
    """
    digest = hashlib.blake2b(digest_size=16)
    done = 0
    began = time.perf_counter()
    with image.open("rb", buffering=0) as file:
        while done < min(_SAMPLE_BYTES, size_bytes):
            piece = file.read(_CHUNK_BYTES) or bytes(_CHUNK_BYTES)  # qcow2 may be shorter
            digest.update(piece)
            done += len(piece)
    seconds = time.perf_counter() - began
    return 2.0 * 2.0 * seconds * size_bytes / max(done, 1)

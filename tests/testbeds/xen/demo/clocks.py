"""Sets a dom0's clock to this machine's, so that one timeline holds for both hosts."""

from __future__ import annotations

import asyncio
import time

from ..host import Host

_TURNS = 5
_TURN_SECONDS = 30.0
#: Each line is by how many seconds to put the clock on; the answer is what it shows then.
_CLOCK = """
import sys, time
for line in sys.stdin:
    if float(line):
        time.clock_settime(time.CLOCK_REALTIME, time.time() + float(line))
    print(time.time(), flush=True)
"""


async def set_clock(host: Host) -> None:
    """Set it to a few milliseconds; an emulated machine answers no faster.

    Raises Dom0Error, TimeoutError.
    """
    async with host.channel.stream(command=["python3", "-S", "-c", _CLOCK]) as (reader, writer):

        async def put_on(seconds: float) -> tuple[float, float]:
            """Return how long the answer took, and how far the clock is behind."""
            begun = time.time()
            writer.write(f"{seconds}\n".encode())
            async with asyncio.timeout(_TURN_SECONDS):
                shown = float(await reader.readline())
            ended = time.time()
            return ended - begun, (begun + ended) / 2 - shown

        # The quickest answer was the least delayed.
        _, behind = min([await put_on(0.0) for _ in range(_TURNS)])
        await put_on(behind)

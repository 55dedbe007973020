"""The test bed itself: two Xen hosts that answer, lose each other, and freeze."""

from __future__ import annotations

import asyncio
import time

import pytest

from ..testbeds.xen.bed import Bed
from ..testbeds.xen.channel import Dom0Error

pytestmark = [pytest.mark.live, pytest.mark.xen]


async def test_commands_files_and_streams_reach_dom0(bed: Bed) -> None:
    """Several commands at once, a file there and back, a stream, and the ways to fail."""
    host = bed.m1
    both = await asyncio.gather(host.output("hostname"), host.output("xl", "info", "xen_version"))
    assert both[0] == "m1\n"
    assert both[1].startswith("4.17.")
    content = bytes(range(256)) * 4096
    await host.put("/var/test/file", content)
    assert await host.get("/var/test/file") == content
    async with host.channel.stream(command=["cat"]) as (reader, writer):
        writer.write(content)
        writer.write_eof()
        assert await reader.read(-1) == content
    assert (await host.run(["sh", "-c", "cat; echo no >&2; exit 3"], stdin=b"yes")).status == 3
    started = time.monotonic()
    assert (await host.run(["sleep", "60"], timeout_seconds=1)).status is None
    assert time.monotonic() - started < 30
    with pytest.raises(Dom0Error, match="No such file"):
        await host.run(["/no/such/program"])


@pytest.mark.time_limit(120)
async def test_a_cut_link_is_silent_and_comes_back(bed: Bed) -> None:
    """Nothing passes a cut link, everything passes it after it was restored."""
    ping = ["ping", "-c", "1", "-W", "2", bed.m2.address]
    assert (await bed.m1.run(ping)).status == 0
    await bed.cut()
    assert (await bed.m1.run(ping)).status == 1
    await bed.restore()
    assert (await bed.m1.run(["ping", "-c", "1", "-w", "20", bed.m2.address])).status == 0


@pytest.mark.time_limit(120)
async def test_a_frozen_host_says_nothing_until_it_is_thawed(bed: Bed) -> None:
    """A frozen machine keeps the question and answers it later."""
    bed.m2.freeze()
    try:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3):
                await bed.m2.output("hostname")
    finally:
        bed.m2.thaw()
    assert await bed.m2.output("hostname") == "m2\n"

"""The story of ``domwarden demo``, acted by both dom0s of the bed."""

from __future__ import annotations

import asyncio

from domwarden.cli.demo.scenario import Story, play
from domwarden.cli.progress import Lines

from ..bed import Bed
from ..wardens import wardens
from .clocks import set_clock
from .dom0 import DISK, DISK_BYTES, FOLDER, TIMEOUT_SECONDS, Dom0


async def act(bed: Bed, screen: Lines) -> Story:
    """Play it between the two hosts of a booted bed.

    Raises DomwardenError for what did not go as promised, Dom0Error for a command that failed.
    """
    await asyncio.gather(*(set_clock(host) for host in bed.hosts))
    for host in bed.hosts:
        await host.output("rm", "-rf", FOLDER)
        await host.output("mkdir", "-p", FOLDER)
    await bed.m1.output("truncate", "-s", str(DISK_BYTES), DISK)
    async with wardens(bed) as both:
        here, there = (Dom0(warden, screen) for warden in both)
        return await play(here, there, "xen", TIMEOUT_SECONDS, screen)

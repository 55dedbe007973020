"""``python -m tests.testbeds.xen.demo``: ``domwarden demo`` on two real Xen hosts."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from domwarden.cli.demo import telling
from domwarden.cli.demo.scenario import Story
from domwarden.cli.progress import display
from domwarden.contract import DomwardenError

from ...guest.packages import BuildError
from ..bed import Bed
from ..channel import Dom0Error
from ..host import BOOT_SECONDS, BootError
from .story import act


async def demonstrate() -> Story:
    """Build and boot the hosts, act the story on them, and end them."""
    with display() as screen:
        screen.say("build two hosts with Xen; for the first time that takes a minute")
        bed = await asyncio.to_thread(Bed.prepare)
        try:
            screen.say("boot hosts m1 and m2, which QEMU emulates")
            with screen.waiting("the hosts boot", BOOT_SECONDS):
                await bed.boot()
            return await act(bed, screen)
        finally:
            bed.remove()


def main() -> int:
    """Print the timeline and draw it; one line on standard error when something is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    drawn = Path("domwarden-demo.svg")
    parser.add_argument("--picture", type=Path, default=drawn, help="where to draw the timeline")
    picture = parser.parse_args().picture
    try:
        story = asyncio.run(demonstrate())
    except (BuildError, BootError, Dom0Error, DomwardenError, TimeoutError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    telling.draw(story, picture)
    telling.tell(story, picture)
    return 0


if __name__ == "__main__":
    sys.exit(main())

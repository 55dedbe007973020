"""Runs in dom0: a warden that lives long and moves a domain for each line it is given.

``python dom0_warden.py DOMAIN PEER``: says ``ready`` once it knows the domain, its drivers and its
peer; then each line moves the domain, and the answer is one line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from domwarden.config import load_host
from domwarden.contract import DomwardenError
from domwarden.migration import Timeline
from domwarden.warden import Warden

HOST_FILE = Path("/etc/domwarden/host.yaml")


async def _moved(warden: Warden, domain: str, peer: str) -> dict[str, Any]:
    timeline = Timeline()
    try:
        moved = await warden.migrate(domain, peer, observer=timeline)
    except DomwardenError as error:
        return {"error": str(error)}
    return {**moved.as_json(), "moments": [moment.as_json() for moment in timeline.moments]}


async def main(domain: str, peer: str) -> None:
    """Serve until the input ends."""
    async with Warden(load_host(HOST_FILE), in_process=True) as warden:
        await warden.plan(domain, peer)
        print("ready", flush=True)
        loop = asyncio.get_running_loop()
        while await loop.run_in_executor(None, sys.stdin.readline):
            print(json.dumps(await _moved(warden, domain, peer), default=str), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

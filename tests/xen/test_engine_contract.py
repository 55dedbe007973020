"""The engine keeps the promises of the contract on a real Xen, with a real guest."""

from __future__ import annotations

from pathlib import Path

import pytest

from domwarden.testing.engines import Check, engine_checks

from ..parity.differences import MISSING
from ..testbeds.xen import warm
from ..testbeds.xen.host import Host

pytestmark = [pytest.mark.live, pytest.mark.xen, pytest.mark.time_limit(720)]

#: Moves need two hosts and are tested there.  The watchdogs' checks, which last longest, go first.
CHECKS = [
    check
    for check in reversed(engine_checks(MISSING["xen"]))
    if not check.__module__.endswith(".moves") and check.__name__ != "check_watchdog_travels"
]
INSIDE = Path(__file__).parent / "inside/contract.py"


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_the_engine_keeps_its_promises(shared_host: Host, check: Check) -> None:
    """Each check of the kit passes in dom0, from a Python that has imported domwarden."""
    await warm.start(shared_host)
    place = f"/var/test/{check.__name__}.py"
    await shared_host.put(place, INSIDE.read_bytes())
    verdict = await warm.run(shared_host, place, check.__name__)
    assert verdict == "kept\n", verdict

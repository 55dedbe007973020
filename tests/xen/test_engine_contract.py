"""The engine keeps the promises of the contract on a real Xen, with a real guest."""

from __future__ import annotations

import ast
import asyncio
from pathlib import Path

import pytest

from domwarden.testing.engines import Check, engine_checks

from ..parity.differences import MISSING
from ..testbeds.xen.bed import Bed
from ..testbeds.xen.host import Host

pytestmark = [pytest.mark.live, pytest.mark.xen, pytest.mark.time_limit(900)]

#: Moves need two hosts and are tested there.
CHECKS = [
    check
    for check in engine_checks(MISSING["xen"])
    if not check.__module__.endswith(".moves") and check.__name__ != "check_watchdog_travels"
]
INSIDE = Path(__file__).parent / "inside/contract.py"
PLACE = "/var/test/contract.py"
LIMIT_SECONDS = 840.0


async def _verdicts(host: Host, names: list[str]) -> dict[str, str]:
    await host.put(PLACE, INSIDE.read_bytes())
    done = await host.run(["python3", PLACE, *names], timeout_seconds=LIMIT_SECONDS)
    said = {}
    for line in done.stdout.splitlines():
        name, seconds, _, verdict = line.split(" ", 3)
        said[name] = f"{ast.literal_eval(verdict)} after {seconds} s"
    return said


@pytest.fixture(scope="module")
def verdicts(booted_bed: Bed) -> dict[str, str]:
    """Return what the kit says in both dom0s, each with half of the checks."""

    async def both() -> dict[str, str]:
        names = [check.__name__ for check in CHECKS]
        halves = await asyncio.gather(
            _verdicts(booted_bed.m1, names[::2]), _verdicts(booted_bed.m2, names[1::2])
        )
        return {**halves[0], **halves[1]}

    found = asyncio.run(both())
    asyncio.run(booted_bed.tidy())
    return found


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_engine_keeps_its_promises(check: Check, verdicts: dict[str, str]) -> None:
    """Each check of the kit passes in dom0."""
    verdict = verdicts.get(check.__name__, "it was never reached")
    assert verdict.startswith("kept"), verdict

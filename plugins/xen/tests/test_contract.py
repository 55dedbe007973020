"""The engine keeps the promises of the contract over a fake xl."""

from __future__ import annotations

from pathlib import Path

import pytest

from domwarden.testing.engines import Check, Feature, engine_checks
from domwarden_xen import waking

from .bench import bench

#: Moves are tested with fake ends of their own.
CHECKS = [
    check
    for check in engine_checks([Feature.SAVE])
    if not check.__module__.endswith(".moves") and check.__name__ != "check_watchdog_travels"
]


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look more often than a real xl could answer."""
    monkeypatch.setattr(waking, "GLANCE_SECONDS", 0.02)
    monkeypatch.setattr(waking, "LOOK_SECONDS", 0.1)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_the_engine_keeps_its_promises(check: Check, tmp_path: Path) -> None:
    """Each check passes on two fake hosts."""
    made = 0

    def maker():
        nonlocal made
        made += 1
        return bench(tmp_path / str(made))

    await check(maker)

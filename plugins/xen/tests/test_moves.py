"""The engine keeps the contract's promises about moves, over a fake xl that speaks the messages."""

from __future__ import annotations

from pathlib import Path

import pytest

from domwarden.testing.engines import Check, engine_checks
from domwarden_xen import libxl, waking

from .bench import bench
from .moving_bench import resuming

CHECKS = [
    check
    for check in engine_checks()
    if check.__module__.endswith(".moves") or check.__name__ == "check_watchdog_travels"
]


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look more often than a real xl could answer."""
    monkeypatch.setattr(waking, "GLANCE_SECONDS", 0.02)
    monkeypatch.setattr(waking, "LOOK_SECONDS", 0.1)


@pytest.fixture(autouse=True)
def fake_libxl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Resume a suspended domain of a fake host, as libxl_domain_resume does."""
    monkeypatch.setattr(libxl, "resume", resuming(tmp_path))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_the_engine_keeps_its_promises_about_moves(check: Check, tmp_path: Path) -> None:
    """Each check passes on two fake hosts."""
    made = 0

    def maker():
        nonlocal made
        made += 1
        return bench(tmp_path / str(made))

    await check(maker)

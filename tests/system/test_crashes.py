"""Whatever point the driver of a real guest's move dies at, exactly one copy runs, whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from domwarden.migration import Outcome

from .house import house
from .network import in_own_network
from .story import Story
from .survival import WATCHDOG_SECONDS, moves_again, survive

pytestmark = pytest.mark.live

STAYS = ("pre-switchover", "before-continue", "after-continue", "completed", "received-not-ready")
ARRIVES = (
    "completed-not-released",
    "released-not-granted",
    "granted-not-running",
    "running-not-seen",
    "running-not-stopped",
)


@pytest.mark.parametrize(
    ("points", "expected"),
    [(STAYS, Outcome.RESUMED), (ARRIVES, Outcome.ARRIVED)],
    ids=["stays", "arrives"],
)
def test_a_killed_driver(tmp_path: Path, points: tuple[str, ...], expected: Outcome) -> None:
    """One guest survives one kill after another, by the watcher alone, and then moves cleanly."""

    async def test(own_network: bool) -> None:
        async with house(tmp_path, bridged=own_network) as made:
            story = Story(made)
            await story.begin(watchdog_seconds=WATCHDOG_SECONDS)
            owner = "a"
            for point in points:
                owner = await survive(made, story, point, owner, expected)
            await moves_again(made, story, owner)

    in_own_network(test, seconds=400)

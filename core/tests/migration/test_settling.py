"""How an interrupted move is looked at."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from domwarden.contract import Observation
from domwarden.migration import Outcome

from .helpers import recover, running_domain
from .test_crashes import killed
from .world import Killed, ToyEngine, World


async def test_both_ends_are_looked_at_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two hypervisors that hang cost one time-out, while the guest stands still."""
    world = World(tmp_path)
    await running_domain(world)

    def die() -> None:
        raise Killed("complete")

    world.on_point = {"source engine complete after": die}
    assert await killed(world, None)
    both = asyncio.Barrier(2)
    looked: list[str] = []
    observe = ToyEngine.observe

    async def together(self: ToyEngine, name: str) -> Observation:
        looked.append(self.host.name)
        if len(looked) <= 2:
            async with asyncio.timeout(10):
                await both.wait()
        return await observe(self, name)

    monkeypatch.setattr(ToyEngine, "observe", together)
    (settled,) = await recover(world, "a")
    assert settled.outcome is Outcome.RESUMED
    assert looked[:2] == ["a", "b"]

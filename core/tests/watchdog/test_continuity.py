"""A timer that was armed and is not any more is told; what nobody saw is not guessed."""

from __future__ import annotations

from pathlib import Path

import pytest

from domwarden.contract import Armed, EngineError, WatchdogEntry
from domwarden.watchdog.continuity import watchdog_lost

from ..migration.helpers import move, running_domain
from ..migration.world import World


@pytest.mark.parametrize("before", Armed)
@pytest.mark.parametrize("after", Armed)
def test_only_a_timer_seen_armed_and_then_seen_disarmed_is_lost(
    before: Armed, after: Armed
) -> None:
    """Unknown is unknown, before and after."""
    lost = watchdog_lost("web1", before, after)
    assert (lost is not None) == ((before, after) == (Armed.ARMED, Armed.DISARMED))
    assert lost is None or lost.startswith("watchdog-lost: the watchdog of web1 ")


async def _moved(world: World, before: Armed, after: Armed) -> tuple[str, ...]:
    world.watchdog = WatchdogEntry("toy", timeout_seconds=30.0)
    await running_domain(world)
    world.engine("a").write("web1", armed=before)
    world.on_point = {
        "destination engine activate after": lambda: world.engine("b").write("web1", armed=after)
    }
    return (await move(world)).alarms


async def test_a_timer_that_did_not_arrive_is_an_alarm_of_the_move(tmp_path: Path) -> None:
    """The domain runs over there all the same."""
    world = World(tmp_path)
    (alarm,) = await _moved(world, Armed.ARMED, Armed.DISARMED)
    assert "watchdog-lost" in alarm
    assert world.running() == ["b"]


async def test_a_timer_that_arrived_is_no_alarm(tmp_path: Path) -> None:
    assert await _moved(World(tmp_path), Armed.ARMED, Armed.ARMED) == ()


async def test_a_look_that_fails_is_no_alarm(tmp_path: Path) -> None:
    """Nobody knows then."""
    world = World(tmp_path)
    world.faults.before["b", "read_watchdog"] = EngineError("no")
    assert await _moved(world, Armed.ARMED, Armed.DISARMED) == ()

"""A timer that was armed and is not any more is told; what nobody saw is not guessed."""

from __future__ import annotations

from pathlib import Path

import pytest

from domwarden.contract import Armed, EngineError, Reading, WatchdogEntry
from domwarden.migration import restore, save
from domwarden.migration.destination import REARM_LOOK_SECONDS
from domwarden.watchdog.continuity import watchdog_lost

from ..migration.helpers import faulty, move, recover, running_domain
from ..migration.toy_engine import ToyEngine
from ..migration.world import Killed, World


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


@pytest.mark.parametrize(("looks", "lost"), [(3, False), (4, True)])
async def test_a_guest_that_arms_a_new_timer_is_given_time_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, looks: int, lost: bool
) -> None:
    """Where the hypervisor drops timers: as long as the engine says, and not longer."""
    monkeypatch.setattr(ToyEngine, "REARM_SECONDS", 2 * REARM_LOOK_SECONDS)
    seen: list[Armed] = []

    async def read(engine: ToyEngine, name: str) -> Reading:
        if engine.host.name == "a":
            return Reading(armed=Armed.ARMED)
        seen.append(Armed.DISARMED if len(seen) + 1 < looks else Armed.ARMED)
        return Reading(armed=seen[-1])

    async def pass_at_once(_seconds: float) -> None:
        pass

    monkeypatch.setattr(ToyEngine, "read_watchdog", read)
    monkeypatch.setattr("domwarden.migration.destination.asyncio.sleep", pass_at_once)
    alarms = await _moved(World(tmp_path), Armed.ARMED, Armed.DISARMED)
    assert bool(alarms) == lost
    assert len(seen) == 3


async def test_a_look_that_fails_is_no_alarm(tmp_path: Path) -> None:
    """Nobody knows then."""
    world = World(tmp_path)
    world.faults.before["b", "read_watchdog"] = EngineError("no")
    assert await _moved(world, Armed.ARMED, Armed.DISARMED) == ()


@pytest.mark.parametrize("host", ["a", "b"])
async def test_a_timer_that_did_not_arrive_is_told_by_a_recovery_too(
    tmp_path: Path, host: str
) -> None:
    """The process that saw it armed is dead, and its destination may be alone."""
    world = World(tmp_path)

    def die() -> None:
        world.engine("b").write("web1", armed=Armed.DISARMED)
        raise Killed("died")

    world.watchdog = WatchdogEntry("toy", timeout_seconds=30.0)
    await running_domain(world)
    world.engine("a").write("web1", armed=Armed.ARMED)
    world.on_point = {"destination journal ran after": die}
    with pytest.raises(Killed):
        await move(world)
    if host == "b":
        world.wrap_link = faulty({"settle": ["dead"]})
    (settled,) = await recover(world, host)
    (alarm,) = settled.alarms
    assert "watchdog-lost" in alarm
    assert world.running() == ["b"]


@pytest.mark.parametrize("died", [False, True])
async def test_a_timer_that_a_save_lost_is_told(tmp_path: Path, died: bool) -> None:
    """By the restore, or by the recovery that completes it."""
    world = World(tmp_path)
    world.watchdog = WatchdogEntry("toy", timeout_seconds=30.0)
    await running_domain(world)
    world.engine("a").write("web1", armed=Armed.ARMED)
    async with world.hub("a") as hub, hub.acting("web1"):
        await save(hub, "web1", tmp_path / "saved")

    def lose() -> None:
        world.engine("a").write("web1", armed=Armed.DISARMED)
        if died:
            raise Killed("died")

    world.on_point = {"destination engine activate after": lose}
    async with world.hub("a") as hub, hub.acting("web1"):
        if not died:
            (alarm,) = (await restore(hub, tmp_path / "saved")).alarms
        else:
            with pytest.raises(Killed):
                await restore(hub, tmp_path / "saved")
    if died:
        (settled,) = await recover(world, "a")
        (alarm,) = settled.alarms
    assert "watchdog-lost" in alarm
    assert world.running() == ["a"]

"""The device contract kit: every way in which a domain with the author's devices may move.

Each check is a coroutine function that takes a *maker* of a fresh
:class:`~domwarden.testing.world.MoveWorld`; :func:`move_checks` returns them all.  Under pytest::

    @pytest.mark.parametrize("check", move_checks(), ids=lambda check: check.__name__)
    async def test_licence(check, move_world):
        await check(lambda: move_world(DEVICES, settled=holds_the_licence))

What must be true of the device after each journey is the world's ``settled``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

from domwarden.contract import End, RunState, Step
from domwarden.migration.crash import KNOWN_POINTS
from domwarden.testing.devices import expect
from domwarden.testing.journey import Journey
from domwarden.testing.world import MoveWorld

Maker = Callable[[], AbstractAsyncContextManager[MoveWorld]]
Check = Callable[[Maker], Awaitable[None]]

#: Points that only a move which is given up comes by.
_OF_AN_ABORT = {"during-abort", "aborted-not-resumed"}
#: Where a move may be given up: not at TEST, which begins nothing.
_STEPS = (Step.PREPARE, Step.START, Step.SYNC)


def move_checks() -> list[Check]:
    """Return every check of this module."""
    return [
        check_starts_and_stops,
        check_moves_there_and_back,
        check_moves_paused,
        check_plan_changes_nothing,
        check_comes_back_from_every_step,
        check_survives_the_driver_at_every_point,
        check_jobs_may_run_twice,
        check_saves_and_restores,
    ]


async def check_starts_and_stops(make: Maker) -> None:
    """A domain with the device starts, stops, and starts again."""
    async with make() as world:
        for _ in range(2):
            _went(await world.start(), "start")
            await _lives(world)
            _went(await world.stop(), "stop")


async def check_moves_there_and_back(make: Maker) -> None:
    """A running domain moves to the other host and back, and its guest goes on."""
    async with make() as world:
        _went(await world.start(), "start")
        for _ in range(2):
            _went(await world.migrate(), "migrate")
            await _lives(world)


async def check_moves_paused(make: Maker) -> None:
    """A paused domain arrives paused."""
    async with make() as world:
        _went(await world.start(), "start")
        _went(await world.pause(), "pause")
        _went(await world.migrate(), "migrate paused")
        expect(world.states()[world.place()] is RunState.PAUSED, "it arrives paused")


async def check_plan_changes_nothing(make: Maker) -> None:
    """A plan asks TEST of both ends and nothing else, finds nothing, and may be repeated."""
    async with make() as world:
        _went(await world.start(), "start")
        for _ in range(2):
            made = await world.plan()
            expect(not made.refusals, f"nothing blocks a move: {made.refusals}")
            for call in world.calls():
                expect(call.step in ("", Step.TEST.name), f"a plan asks TEST only, not {call}")
        _went(await world.migrate(), "migrate after a plan")


async def check_comes_back_from_every_step(make: Maker) -> None:
    """A move given up at any step of either end leaves all as it was, and works the next time."""
    async with make() as world:
        _went(await world.start(), "start")
        for end in End:
            for step in _STEPS:
                moved = await world.migrate(fail_at=(end, step))
                expect(not moved.arrived, f"a move fails at {step.name} of the {end}: {moved}")
                _quiet(moved)
                await _lives(world)
        _went(await world.migrate(), "migrate after failures")
        await _lives(world)


async def check_survives_the_driver_at_every_point(make: Maker) -> None:
    """Whenever the driving process dies, the next one settles the move, with one copy left."""
    async with make() as world:
        _went(await world.start(), "start")
        for point in KNOWN_POINTS:
            fails = (End.SOURCE, Step.SYNC) if point in _OF_AN_ABORT else None
            _quiet(await world.migrate(killed_at=point, fail_at=fails))
            await _lives(world)
        _went(await world.migrate(), "migrate after kills")


async def check_jobs_may_run_twice(make: Maker) -> None:
    """Each job that is run two times in a row does no harm, forwards and backwards."""
    async with make() as world:
        _went(await world.start(), "start")
        _went(await world.migrate(twice=True), "migrate with doubled jobs")
        await _lives(world)
        back = await world.migrate(twice=True, fail_at=(End.DESTINATION, Step.SYNC))
        expect(not back.arrived, "a move fails at SYNC of the destination")
        _quiet(back)
        await _lives(world)


async def check_saves_and_restores(make: Maker) -> None:
    """A domain is saved and restored, also after attempts of either that were given up."""
    async with make() as world:
        _went(await world.start(), "start")
        for step in _STEPS:
            saved = await world.save(fail_at=step)
            expect(not saved.arrived, f"a save fails at {step.name}")
            _quiet(saved)
            await _lives(world)
        _went(await world.save(), "save")
        for step in _STEPS:
            restored = await world.restore(fail_at=step)
            expect(not restored.arrived, f"a restore fails at {step.name}")
            _quiet(restored)
        _went(await world.restore(), "restore")
        await _lives(world)


def _went(journey: Journey, verb: str) -> None:
    expect(journey.arrived, f"{verb} works: {journey}")
    _quiet(journey)


def _quiet(journey: Journey) -> None:
    """No hook or job of recovery, finish or close failed, which only alarms."""
    expect(not journey.alarms, f"no alarm: {'; '.join(journey.alarms)}\n{journey}")


async def _lives(world: MoveWorld) -> None:
    expect(await world.type("ping") == ["pong"], "the guest answers")

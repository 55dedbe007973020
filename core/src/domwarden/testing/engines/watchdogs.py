"""The promises about a domain's watchdog."""

from __future__ import annotations

import asyncio

from domwarden.contract import Action, Armed, EventKind, RunState
from domwarden.testing.engines.bench import (
    Feature,
    Maker,
    bounded,
    expect,
    listening,
    needs,
    next_event,
    see,
    started,
    suspended,
    transferred,
)


@needs(Feature.WATCHDOG)
async def check_watchdog_spares_a_live_guest(make: Maker) -> None:
    """A guest that kicks is left alone for several time-outs."""
    async with make() as bench:
        await started(bench)
        await bench.guard(bench.source, 4)
        before = await bench.uptime(bench.source)
        await bench.pass_seconds(14.0)
        after = await bench.uptime(bench.source)
        expect(after > before + 11.0, f"a guest that kicks is not reset, but it is up {after} s")


@needs(Feature.WATCHDOG)
async def check_watchdog_resets_a_hung_guest(make: Maker) -> None:
    """A guest that hangs is reset by the hypervisor, with an event that says so."""
    async with make() as bench:
        await started(bench)
        await bench.guard(bench.source, 4)
        name = bench.definition.name
        expiry = asyncio.create_task(
            next_event(bench.source.events(name), EventKind.WATCHDOG), name="kit/expiry"
        )
        await asyncio.sleep(0.1)  # the engine connects
        await bench.pass_seconds(2.0)
        await bench.hang(bench.source)
        await bench.pass_seconds(6.0)
        event = await bounded(expiry, "the expiry's event")
        expect(event.data.get("action") == Action.RESET, f"the event says {dict(event.data)}")
        expect(await bench.answers(bench.source), "the guest was reset and answers")


@needs(Feature.WATCHDOG)
async def check_watchdog_travels(make: Maker) -> None:
    """A guest that hangs after its move is reset over there."""
    async with make() as bench:
        live = await started(bench)
        await bench.guard(bench.source, 4)
        move = await listening(bench, live)
        await suspended(bench, move)
        await transferred(bench, move)
        await move.incoming.activate(run=True)
        await see(bench, bench.destination, RunState.RUNNING, "after activate")
        await bench.source.stop(live.name)
        await bench.hang(bench.destination)
        await bench.pass_seconds(6.0)
        expect(await bench.answers(bench.destination), "the guest was reset over there")


@needs(Feature.WATCHDOG, Feature.READ_WATCHDOG)
async def check_watchdog_can_be_read(make: Maker) -> None:
    """The reading says disarmed before, armed after, and a time left within the time-out."""
    async with make() as bench:
        await started(bench)
        name = bench.definition.name
        expect(
            (await bench.source.read_watchdog(name)).armed is Armed.DISARMED,
            "an unused watchdog reads disarmed",
        )
        await bench.guard(bench.source, 10)
        reading = await bench.source.read_watchdog(name)
        expect(reading.armed is Armed.ARMED, "a guarded guest's watchdog reads armed")
        left = reading.time_left_seconds
        expect(left is not None and 0 < left <= 10.5, f"time left reads {left}")

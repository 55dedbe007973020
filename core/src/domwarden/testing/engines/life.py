"""The promises about one domain on one host."""

from __future__ import annotations

import asyncio

from domwarden.contract import Definition, EngineError, EventKind, RunState
from domwarden.testing.engines.bench import (
    BrokenPromiseError,
    Feature,
    Maker,
    bounded,
    collect,
    expect,
    needs,
    see,
    started,
)


@needs()
async def check_realize_changes_nothing(make: Maker) -> None:
    """realize() answers the same twice, and nothing is there afterwards."""
    async with make() as bench:
        room = bench.room(bench.source)
        once = await bench.source.realize(bench.definition, room)
        expect(once == await bench.source.realize(once, room), "a live definition stays as it is")
        expect(bool(once.live), "a live definition says what would be started")
        expect(Definition.from_json(once.as_json()) == once, "a live definition is plain data")
        seen = await bench.source.observe(bench.definition.name)
        expect(seen.state is RunState.ABSENT, "realize starts nothing")


@needs()
async def check_start_observe_stop(make: Maker) -> None:
    """A domain is absent, runs, and is absent again; stop is idempotent."""
    async with make() as bench:
        name = bench.definition.name
        seen = await bench.source.observe(name)
        expect(seen.state is RunState.ABSENT, f"before start the domain is absent, not {seen}")
        await started(bench)
        expect(name in await bench.source.domains(), "domains() names a running domain")
        expect(name not in await bench.destination.domains(), "and on its own host only")
        await bounded(bench.source.stop(name), "stop")
        await see(bench, bench.source, RunState.ABSENT, "after stop")
        expect(name not in await bench.source.domains(), "domains() forgets a stopped domain")
        await bounded(bench.source.stop(name), "stop of an absent domain")


@needs()
async def check_start_refuses_a_second_copy(make: Maker) -> None:
    """Starting a domain that is here already is an EngineError and harms nothing."""
    async with make() as bench:
        live = await started(bench)
        try:
            await bounded(bench.source.start(live, bench.room(bench.source)), "second start")
        except EngineError:
            pass
        else:
            raise BrokenPromiseError("a domain was started twice on one host")
        expect(await bench.answers(bench.source), "the first copy is unharmed")


@needs(Feature.HELD_START)
async def check_held_start(make: Maker) -> None:
    """A held domain executes nothing until it is resumed."""
    async with make() as bench:
        await started(bench, held=True)
        await see(bench, bench.source, RunState.INCOMING, "after a held start")
        await bench.source.resume(bench.definition.name)
        await see(bench, bench.source, RunState.RUNNING, "after resume")
        expect(await bench.answers(bench.source), "a resumed held guest answers")


@needs()
async def check_pause_and_resume(make: Maker) -> None:
    """A paused guest goes on where it was; both are idempotent."""
    async with make() as bench:
        await started(bench)
        name = bench.definition.name
        before = await bench.uptime(bench.source)
        for _ in range(2):
            await bench.source.pause(name)
            await see(bench, bench.source, RunState.PAUSED, "after pause")
        for _ in range(2):
            await bench.source.resume(name)
            await see(bench, bench.source, RunState.RUNNING, "after resume")
        expect(before <= await bench.uptime(bench.source), "a resumed guest goes on")


@needs(Feature.PAUSED_CLOCK)
async def check_paused_clock(make: Maker) -> None:
    """A paused guest stands still, by its own clock."""
    async with make() as bench:
        await started(bench)
        name = bench.definition.name
        before, asked_at = await bench.uptime(bench.source), bench.now_seconds()
        await bench.source.pause(name)
        await see(bench, bench.source, RunState.PAUSED, "after pause")
        await bench.pass_seconds(3.0)
        await bench.source.resume(name)
        await see(bench, bench.source, RunState.RUNNING, "after resume")
        after = await bench.uptime(bench.source)
        # A slow hypervisor takes its time to pause and to resume; the bench's clock may be another.
        passed_seconds = max(3.0, bench.now_seconds() - asked_at)
        expect(after < before + passed_seconds - 0.5, "a paused guest stands still")


@needs()
async def check_reset(make: Maker) -> None:
    """reset() makes the guest boot again."""
    async with make() as bench:
        await started(bench)
        await bench.pass_seconds(2.0)
        before, asked_at = await bench.uptime(bench.source), bench.now_seconds()
        await bench.source.reset(bench.definition.name)
        expect(await bench.answers(bench.source), "a reset guest boots and answers")
        after = await bench.uptime(bench.source)
        # One that boots slowly may be up longer than the first was; never longer than since then.
        expect(after < max(before, bench.now_seconds() - asked_at), "a reset guest starts over")


@needs(Feature.GRACEFUL_STOP)
async def check_graceful_stop(make: Maker) -> None:
    """stop(graceful_seconds=...) lets the guest shut down, and ends a hung one all the same."""
    async with make() as bench:
        await started(bench)
        events = bench.source.events(bench.definition.name)
        heard = asyncio.create_task(collect(events), name="kit/events")
        await asyncio.sleep(0.1)  # the engine connects
        stop = bench.source.stop(bench.definition.name, graceful_seconds=20.0)
        await bounded(stop, "graceful stop")
        await see(bench, bench.source, RunState.ABSENT, "after a graceful stop")
        kinds = [event.kind for event in await bounded(heard, "events")]
        expect(EventKind.SHUTDOWN in kinds, "a guest that shuts down is heard")
        expect(kinds[-1] is EventKind.GONE, "events end with GONE")


@needs()
async def check_events(make: Maker) -> None:
    """Pause, resume and reset are heard, in order, and GONE is the last."""
    async with make() as bench:
        await started(bench)
        name = bench.definition.name
        heard = asyncio.create_task(collect(bench.source.events(name)), name="kit/events")
        await asyncio.sleep(0.1)  # the engine connects
        await bench.source.pause(name)
        await bench.source.resume(name)
        await bench.source.reset(name)
        expect(await bench.answers(bench.source), "a reset guest answers")
        await bench.source.stop(name)
        events = await bounded(heard, "events")
        kinds = [event.kind for event in events]
        wanted = [EventKind.PAUSED, EventKind.RESUMED, EventKind.RESET, EventKind.GONE]
        seen = [kind for kind in kinds if kind in wanted]
        expect(seen == wanted, f"heard {[str(kind) for kind in kinds]}")
        expect(all(event.at > 1e9 for event in events), "events carry Unix time")


@needs()
async def check_unknown_domain(make: Maker) -> None:
    """What cannot be done to an absent domain is an EngineError, and observe never raises."""
    async with make() as bench:
        for act in (bench.source.pause, bench.source.resume, bench.source.reset):
            try:
                await bounded(act("kit-nobody"), "acting on an absent domain")
            except EngineError:
                continue
            raise BrokenPromiseError(f"{act.__name__} of an absent domain succeeded")
        seen = await bench.source.observe("kit-nobody")
        expect(seen.state is RunState.ABSENT, "an absent domain is absent")

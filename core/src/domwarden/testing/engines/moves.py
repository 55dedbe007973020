"""The promises about a domain that moves."""

from __future__ import annotations

from domwarden.contract import EngineError, RunState
from domwarden.testing.engines.bench import (
    LIMIT_SECONDS,
    BrokenPromiseError,
    EngineBench,
    Feature,
    Maker,
    Move,
    bounded,
    expect,
    listening,
    needs,
    see,
    started,
    suspended,
    transferred,
)


@needs()
async def check_move(make: Maker) -> None:
    """A running guest goes on over there where it was, and the source is stopped afterwards."""
    async with make() as bench:
        live = await started(bench)
        await bench.pass_seconds(2.0)
        before = await bench.uptime(bench.source)
        move = await listening(bench, live)
        await suspended(bench, move)
        expect(bool(move.progress), "pre-copy reports progress")
        expect(max(p.transferred_bytes for p in move.progress) > 0, "and counts bytes")
        await transferred(bench, move)
        downtime = await bounded(move.outgoing.downtime_seconds(), "downtime")
        expect(downtime is None or 0 <= downtime < LIMIT_SECONDS, f"downtime of {downtime}")
        await bounded(move.incoming.activate(run=True), "activate")
        await see(bench, bench.destination, RunState.RUNNING, "after activate")
        await bounded(move.incoming.activate(run=True), "activate again")
        await bench.source.stop(live.name)
        await see(bench, bench.source, RunState.ABSENT, "after the source was stopped")
        expect(await bench.answers(bench.destination), "the guest answers over there")
        expect(await bench.uptime(bench.destination) >= before, "without having booted again")


@needs()
async def check_halves_are_stateless(make: Maker) -> None:
    """Each step works on a half that was built anew."""
    async with make() as bench:
        live = await started(bench)
        first = await listening(bench, live)
        await suspended(bench, first)
        rebuilt = Move(
            live,
            bench.source.outgoing(live, "kit-1"),
            bench.destination.incoming(live.name, "kit-1"),
            first.address,
        )
        await transferred(bench, rebuilt)
        await bench.destination.incoming(live.name, "kit-1").activate(run=True)
        await see(bench, bench.destination, RunState.RUNNING, "after activate")


@needs()
async def check_paused_arrives_paused(make: Maker) -> None:
    """A paused domain can move, and arrives paused."""
    async with make() as bench:
        live = await started(bench)
        await bench.source.pause(live.name)
        move = await listening(bench, live)
        await suspended(bench, move)
        await transferred(bench, move)
        await move.incoming.activate(run=False)
        await see(bench, bench.destination, RunState.PAUSED, "after activate")
        await bench.source.stop(live.name)
        await bench.destination.resume(live.name)
        await see(bench, bench.destination, RunState.RUNNING, "after resume")
        expect(await bench.answers(bench.destination), "the guest answers over there")


@needs()
async def check_abort_before_precopy(make: Maker) -> None:
    """A move that never began is given up without a trace."""
    async with make() as bench:
        live = await started(bench)
        move = await listening(bench, live)
        await _aborted(bench, move)


@needs()
async def check_abort_after_precopy(make: Maker) -> None:
    """A move is given up while the domain runs."""
    async with make() as bench:
        live = await started(bench)
        move = await listening(bench, live)
        await bounded(move.outgoing.precopy(move.address, move.progress.append), "precopy")
        await _aborted(bench, move)


@needs()
async def check_abort_while_suspended(make: Maker) -> None:
    """A suspended domain runs again here after an abort, and can be moved again."""
    async with make() as bench:
        live = await started(bench)
        before = await bench.uptime(bench.source)
        move = await listening(bench, live)
        await suspended(bench, move)
        await _aborted(bench, move)
        expect(await bench.uptime(bench.source) >= before, "without having booted again")
        second = await listening(bench, live, "kit-2")
        await suspended(bench, second)
        await transferred(bench, second)
        await second.incoming.activate(run=True)
        await see(bench, bench.destination, RunState.RUNNING, "after the second attempt")


@needs()
async def check_abort_of_a_paused_domain(make: Maker) -> None:
    """A domain that was paused is paused again after an abort."""
    async with make() as bench:
        live = await started(bench)
        await bench.source.pause(live.name)
        move = await listening(bench, live)
        await suspended(bench, move)
        await bounded(move.incoming.discard(), "discard")
        await bounded(move.outgoing.abort(resume=False), "abort")
        await see(bench, bench.source, RunState.PAUSED, "after abort")


@needs()
async def check_abort_after_complete(make: Maker) -> None:
    """A departed domain runs here again once the copy over there is destroyed."""
    async with make() as bench:
        live = await started(bench)
        move = await listening(bench, live)
        await suspended(bench, move)
        await transferred(bench, move)
        await _aborted(bench, move)


async def _aborted(bench: EngineBench, move: Move) -> None:
    for _ in range(2):
        await bounded(move.incoming.discard(), "discard")
        await see(bench, bench.destination, RunState.ABSENT, "after discard")
    for _ in range(2):
        await bounded(move.outgoing.abort(resume=True), "abort")
        await see(bench, bench.source, RunState.RUNNING, "after abort")
    expect(await bench.answers(bench.source), "the guest answers here again")


@needs()
async def check_discard_spares_an_activated_copy(make: Maker) -> None:
    """discard() never touches a copy that was activated."""
    async with make() as bench:
        live = await started(bench)
        move = await listening(bench, live)
        await suspended(bench, move)
        await transferred(bench, move)
        await move.incoming.activate(run=True)
        await see(bench, bench.destination, RunState.RUNNING, "after activate")
        try:
            await bounded(move.incoming.discard(), "discard")
        except EngineError:
            pass  # refusing aloud is as good as doing nothing
        await see(bench, bench.destination, RunState.RUNNING, "after discard of an activated copy")
        expect(await bench.answers(bench.destination), "the activated guest answers")


@needs()
async def check_unreachable_destination(make: Maker) -> None:
    """A destination that is gone makes pre-copy an EngineError, and the guest runs on."""
    async with make() as bench:
        live = await started(bench)
        move = await listening(bench, live)
        await bounded(move.incoming.discard(), "discard")
        try:
            await bounded(move.outgoing.precopy(move.address, move.progress.append), "precopy")
        except EngineError:
            pass
        else:
            raise BrokenPromiseError("pre-copy into nothing succeeded")
        await bounded(move.outgoing.abort(resume=True), "abort")
        await see(bench, bench.source, RunState.RUNNING, "after abort")
        expect(await bench.answers(bench.source), "the guest runs on")


@needs(Feature.SAVE)
async def check_save_and_restore(make: Maker) -> None:
    """A guest goes on from a file, on another host, although its first copy is gone."""
    async with make() as bench:
        live = await started(bench)
        await bench.pass_seconds(2.0)
        before = await bench.uptime(bench.source)
        address = {"file": str(bench.directory / "stream")}
        saving = bench.source.outgoing(live, "kit-save")
        await bounded(saving.precopy(address, lambda _progress: None), "precopy to a file")
        await bounded(saving.suspend(), "suspend")
        await bounded(saving.complete(lambda _progress: None), "complete to a file")
        await see(bench, bench.source, RunState.DEPARTED, "after the save")
        await bench.source.stop(live.name)
        await see(bench, bench.source, RunState.ABSENT, "after stop")
        restoring = bench.destination.incoming(live.name, "kit-restore")
        room = bench.room(bench.destination)
        await bounded(restoring.listen(live, room, address), "listen to a file")
        await bounded(restoring.received(), "received")
        await see(bench, bench.destination, RunState.RECEIVED, "after the file was read")
        await restoring.activate(run=True)
        await see(bench, bench.destination, RunState.RUNNING, "after activate")
        expect(await bench.answers(bench.destination), "the restored guest answers")
        expect(await bench.uptime(bench.destination) >= before, "without having booted again")

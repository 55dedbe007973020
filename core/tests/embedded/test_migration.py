"""Pre-copy converges by its rule, obeys its limits, and fails without harm to the source."""

import asyncio
import contextlib

import pytest

from domwarden.contract import (
    DISK_BASE,
    Action,
    DeviceEntry,
    EngineError,
    GuestStoppedError,
    Host,
    MigrationSettings,
    OutcomeUnknownError,
    RunState,
)
from domwarden.embedded import EmbeddedEngine
from domwarden.embedded.memory import PAGE_BYTES
from domwarden.embedded.sockets import listen_unix
from domwarden.embedded.stream.channel import connect
from domwarden.embedded.stream.frames import FrameType, FrameWriter
from domwarden.testing.engines.bench import listening, started, suspended, transferred

from .helpers import OneTimer, make_bench, no_progress, state

MIB = 2**20


def settings(**changes):
    limits = {
        "downtime_limit_seconds": 0.05,
        "bandwidth_bytes_per_second": 20 * MIB,
        "timeout_seconds": 5.0,
    }
    return MigrationSettings(**(limits | changes))


async def moved(bench, live, migration="kit-1"):
    move = await listening(bench, live, migration)
    await suspended(bench, move)
    await transferred(bench, move)
    downtime = await move.outgoing.downtime_seconds()
    await move.incoming.activate(run=True)
    await bench.source.stop("web1")
    return move, downtime


async def test_bandwidth_costs_time_of_the_injected_clock(tmp_path):
    bench = make_bench(tmp_path, migration=settings(bandwidth_bytes_per_second=MIB))
    live = await started(bench)
    before = bench.clock.now_ns()
    move, downtime = await moved(bench, live)
    seconds = (bench.clock.now_ns() - before) / 1e9
    sent = move.progress[-1].transferred_bytes
    assert sent >= MIB
    assert seconds == pytest.approx(sent / MIB, rel=0.02)
    assert downtime <= 0.05


async def test_a_guest_that_was_paused_while_it_was_copied_does_not_go_on(tmp_path):
    """Whoever paused it finds it paused at its source; one that was paused before does move."""
    bench = make_bench(tmp_path)
    live = await started(bench)
    move = await listening(bench, live, "kit-1")
    await move.outgoing.precopy(move.address, no_progress)
    await bench.source.pause("web1")
    with pytest.raises(GuestStoppedError):
        await move.outgoing.suspend()
    await move.incoming.discard()
    await move.outgoing.abort(resume=True)
    assert await state(bench, bench.source) is RunState.PAUSED
    await moved(bench, live, "kit-2")  # one that is paused before its move does go


async def test_stream_also_goes_over_tcp(tmp_path):
    bench = make_bench(tmp_path)
    here = bench.destination
    host = Host("b", tmp_path / "b", {"embedded": {"listen": "127.0.0.1"}})
    bench.destination = EmbeddedEngine(host, here.hypervisor)
    live = await started(bench)
    move, _ = await moved(bench, live)
    assert move.address["tcp"][0] == "127.0.0.1"
    assert await bench.answers(bench.destination)


async def test_progress_tells_rates_iterations_and_expected_downtime(tmp_path):
    bench = make_bench(tmp_path, migration=settings())
    live = await started(bench)
    await bench.type(bench.source, f"dirty start {8 * MIB} {4 * MIB}")
    await bench.pass_seconds(1)
    move, _ = await moved(bench, live)
    end_of_rounds = [p for p in move.progress if p.dirty_rate_bytes_per_second is not None]
    assert end_of_rounds[-1].iteration > 1
    assert end_of_rounds[0].dirty_rate_bytes_per_second == pytest.approx(8 * MIB, rel=0.3)
    assert end_of_rounds[0].rate_bytes_per_second == pytest.approx(20 * MIB, rel=0.05)
    assert end_of_rounds[-1].remaining_bytes < end_of_rounds[0].remaining_bytes
    assert move.progress[-1].remaining_bytes == 0


async def test_downtime_keeps_the_limit_that_pre_copy_promised(tmp_path):
    bench = make_bench(tmp_path, migration=settings(downtime_limit_seconds=0.1))
    live = await started(bench)
    await bench.type(bench.source, f"dirty start {10 * MIB} {4 * MIB}")
    await bench.pass_seconds(1)
    _, downtime = await moved(bench, live)
    assert 0 < downtime <= 0.11


async def test_guest_that_writes_too_fast_is_an_error_and_runs_on(tmp_path):
    bench = make_bench(
        tmp_path,
        migration=settings(
            bandwidth_bytes_per_second=2 * MIB, downtime_limit_seconds=0.01, timeout_seconds=60.0
        ),
        options={"max_iterations": 5},
    )
    live = await started(bench)
    await bench.type(bench.source, f"dirty start {50 * MIB} {4 * MIB}")
    move = await listening(bench, live)
    with pytest.raises(EngineError, match="did not converge in 5 iterations"):
        await move.outgoing.precopy(move.address, no_progress)
    assert await bench.answers(bench.source)
    with pytest.raises(EngineError, match="ended too early"):
        await move.incoming.received()
    assert await state(bench, bench.destination) is RunState.ENDED


async def test_guest_arrives_byte_for_byte(tmp_path):
    bench = make_bench(tmp_path)
    live = await started(bench)
    await bench.type(bench.source, f"dirty start {5 * MIB} {2 * MIB}")
    await bench.pass_seconds(1.2345)
    move = await listening(bench, live)
    await suspended(bench, move)
    await transferred(bench, move)
    here = bench.source.hypervisor.find(bench.source.host, "web1").machine
    there = bench.destination.hypervisor.find(bench.destination.host, "web1").machine
    used = here.memory.used_pages() | there.memory.used_pages()
    assert len(used) > 2 * MIB // PAGE_BYTES
    assert all(here.memory.page(number) == there.memory.page(number) for number in used)
    assert {n: save() for n, (save, _) in here.sections.items()} == {
        n: save() for n, (save, _) in there.sections.items()
    }


async def test_same_time_gives_the_same_guest_wherever_it_ran(tmp_path):
    """Determinism: a moved guest and one that stayed count the same in the same guest time."""
    counts = []
    for move_it in (False, True):
        bench = make_bench(tmp_path / str(move_it))
        live = await started(bench)
        await bench.pass_seconds(1.05)
        engine = bench.source
        if move_it:
            await moved(bench, live)
            engine = bench.destination
        machine = engine.hypervisor.find(engine.host, "web1").machine
        bench.clock.advance_to(bench.clock.now_ns() + 5 * 10**9 - machine.clock_ns())
        counts.append(await bench.type(engine, "count"))
    assert counts[0] == counts[1] == ["count 50"]


async def test_disk_and_counter_travel_together(tmp_path):
    bench = make_bench(tmp_path)
    live = await started(bench)
    await bench.pass_seconds(1.05)
    await moved(bench, live)
    copy = bench.destination.hypervisor.find(bench.destination.host, "web1")
    written = await copy.machine.command("root", "sector")({"sector": 0})
    assert written == (await bench.type(bench.destination, "count"))[0] + "\n"
    assert copy.machine.mmio.read(DISK_BASE, 4) == int.from_bytes(b"DWBD", "little")


@pytest.mark.parametrize(
    ("there", "why"),
    [
        ({"memory_bytes": 32 * MIB}, "memory_bytes"),
        ({"uuid": "another"}, "uuid"),
        ({"devices": ()}, "only the source has the device state 'root/sectors'"),
        (
            {"devices": (DeviceEntry("root", "memory-disk"), DeviceEntry("x", "one-timer"))},
            "answered already",
        ),
    ],
)
async def test_ends_that_differ_are_refused_while_the_guest_runs_on(tmp_path, there, why):
    bench = make_bench(tmp_path)
    live = await started(bench)
    other = make_bench(tmp_path, **there)
    incoming = bench.destination.incoming("web1", "m1")

    async def attempt():
        address = await incoming.listen(other.definition, other.room(bench.destination))
        await bench.source.outgoing(live, "m1").precopy(address, no_progress)

    with pytest.raises(EngineError, match=why):
        await attempt()
    assert await bench.answers(bench.source)
    assert await state(bench, bench.destination) in (RunState.ENDED, RunState.ABSENT)


@pytest.mark.parametrize("error", [ValueError("too new"), IndexError(), KeyError("x")])
async def test_device_that_cannot_load_refuses_before_the_commit(tmp_path, monkeypatch, error):
    def load(self, data):
        raise error

    bench = make_bench(tmp_path)
    live = await started(bench)
    monkeypatch.setattr(OneTimer, "load", load)
    move = await listening(bench, live)
    await suspended(bench, move)
    with pytest.raises(EngineError, match="device state 'watchdog' is not usable"):
        await move.outgoing.complete(no_progress)
    assert await state(bench, bench.destination) is RunState.ENDED
    await move.incoming.discard()
    await move.outgoing.abort(resume=True)
    assert await bench.answers(bench.source)


@pytest.mark.parametrize("hello", [b"[]", b"{", b'{"domain": 1}', b'{"sections": [[]]}', b"\xff"])
async def test_strange_greeting_ends_the_held_copy_cleanly(tmp_path, hello):
    bench = make_bench(tmp_path)
    incoming = bench.destination.incoming("web1", "m1")
    room = bench.room(bench.destination)
    address = await incoming.listen(bench.definition, room)
    channel = await connect(address, 5, bench.source.host, "b")
    writer = FrameWriter(channel.send)
    await writer.open()
    await writer.write(FrameType.HELLO, hello)
    with pytest.raises(EngineError, match="incoming stream failed"):
        await incoming.received()
    channel.close()
    await incoming.discard()
    await bench.close()


async def test_stream_of_another_migration_is_refused(tmp_path):
    bench = make_bench(tmp_path)
    live = await started(bench)
    move = await listening(bench, live, "m1")
    with pytest.raises(EngineError, match="migration"):
        await bench.source.outgoing(live, "m2").precopy(move.address, no_progress)
    assert await bench.answers(bench.source)


async def test_destination_that_dies_in_pre_copy_leaves_the_guest_running(tmp_path):
    bench = make_bench(tmp_path, migration=settings(bandwidth_bytes_per_second=MIB))
    live = await started(bench)
    move = await listening(bench, live)
    discards = []

    def kill(_progress):
        if not discards:
            discards.append(asyncio.ensure_future(move.incoming.discard()))

    with pytest.raises(EngineError):
        await move.outgoing.precopy(move.address, kill)
    await discards[0]
    assert await bench.answers(bench.source)


async def test_destination_that_dies_after_the_suspend_leaves_the_guest_to_abort(tmp_path):
    bench = make_bench(tmp_path)
    live = await started(bench)
    move = await listening(bench, live)
    await suspended(bench, move)
    await move.incoming.discard()
    with pytest.raises(EngineError):
        await move.outgoing.complete(no_progress)
    assert await state(bench, bench.source) is RunState.SUSPENDED
    await move.outgoing.abort(resume=True)
    assert await bench.answers(bench.source)


@contextlib.asynccontextmanager
async def hanging_destination(path, answer):
    """A listener that says so much and then nothing more."""
    ends = []

    async def serve(reader, writer):
        end = asyncio.Event()
        ends.append(end)
        writer.write(answer)
        with contextlib.suppress(ConnectionError):
            while await reader.read(1024 * 1024):
                pass
        writer.transport.abort()
        end.set()

    server = await asyncio.start_unix_server(serve, sock=await listen_unix(path))
    try:
        yield {"unix": str(path)}
    finally:
        server.close()
        for end in ends:
            await end.wait()
        await asyncio.sleep(0)  # the transports close


async def test_destination_that_never_answers_times_out_in_pre_copy(tmp_path):
    bench = make_bench(tmp_path, migration=settings(timeout_seconds=0.2))
    live = await started(bench)
    async with hanging_destination(tmp_path / "hang.sock", b"") as address:
        with pytest.raises(EngineError, match=r"within 0\.2 s"):
            await bench.source.outgoing(live, "m1").precopy(address, no_progress)
    assert await bench.answers(bench.source)


async def test_destination_that_hangs_at_the_end_leaves_the_outcome_unknown(tmp_path):
    ready = b"DWSTREAM\x01\x00\x00\x00"
    parts = []

    async def send(data):
        parts.append(data)

    await FrameWriter(send).write(FrameType.READY)
    bench = make_bench(tmp_path, migration=settings(timeout_seconds=0.3))
    live = await started(bench)
    outgoing = bench.source.outgoing(live, "m1")
    async with hanging_destination(tmp_path / "hang.sock", ready + parts[0]) as address:
        await outgoing.precopy(address, no_progress)
        await outgoing.suspend()
        with pytest.raises(OutcomeUnknownError):
            await outgoing.complete(no_progress)
    assert await state(bench, bench.source) is RunState.SUSPENDED
    await outgoing.abort(resume=True)
    assert await bench.answers(bench.source)


async def test_abort_in_the_middle_of_pre_copy_ends_it(tmp_path):
    bench = make_bench(tmp_path, migration=settings(bandwidth_bytes_per_second=MIB))
    live = await started(bench)
    move = await listening(bench, live)
    precopy = asyncio.create_task(move.outgoing.precopy(move.address, no_progress))
    for _ in range(20):
        await asyncio.sleep(0)
    await move.outgoing.abort(resume=True)
    with pytest.raises(EngineError):
        await precopy
    assert await bench.answers(bench.source)
    assert await state(bench, bench.source) is RunState.RUNNING


async def test_departed_received_and_waiting_copies_do_not_just_resume(tmp_path):
    bench = make_bench(tmp_path)
    live = await started(bench)
    move = await listening(bench, live)
    with pytest.raises(EngineError, match="waits for its stream"):
        await bench.destination.resume("web1")
    await suspended(bench, move)
    with pytest.raises(EngineError, match="suspended"):
        await bench.source.resume("web1")
    await transferred(bench, move)
    with pytest.raises(EngineError, match="departed"):
        await bench.source.resume("web1")
    with pytest.raises(EngineError, match="received"):
        await bench.destination.resume("web1")


async def test_watchdog_fires_on_no_copy_while_the_domain_is_between_hosts(tmp_path):
    bench = make_bench(tmp_path)
    live = await started(bench)
    await bench.guard(bench.source, 4)
    move = await listening(bench, live)
    await suspended(bench, move)
    await bench.pass_seconds(100)
    await transferred(bench, move)
    await bench.pass_seconds(100)
    assert await state(bench, bench.source) is RunState.DEPARTED
    assert await state(bench, bench.destination) is RunState.RECEIVED
    await move.incoming.activate(run=True)
    left = (await bench.destination.read_watchdog("web1")).time_left_seconds
    assert 2 < left <= 4
    with pytest.raises(EngineError):
        await bench.source.act("web1", Action.RESET)

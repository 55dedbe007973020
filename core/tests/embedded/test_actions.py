"""Every watchdog action does on the embedded engine what its name says."""

import pytest

from domwarden.contract import Action, EventKind, RunState, WatchdogEntry
from domwarden.testing.engines.bench import started

from .helpers import make_bench


async def hung(tmp_path, action):
    """A guarded guest that hung and whose watchdog has just fired, and the events since."""
    bench = make_bench(tmp_path, watchdog=WatchdogEntry("one-timer", action=action))
    await started(bench)
    await bench.guard(bench.source, 4)
    events = bench.source.events("web1")
    await bench.hang(bench.source)
    await bench.pass_seconds(4)
    return bench, events


async def until(events, kind):
    heard = []
    async for event in events:
        heard.append(event)
        if event.kind is kind:
            break
    return heard


@pytest.mark.parametrize(
    ("action", "state", "after"),
    [
        (Action.RESET, RunState.RUNNING, [EventKind.RESET]),
        (Action.POWEROFF, RunState.ENDED, [EventKind.SHUTDOWN]),
        (Action.SHUTDOWN, RunState.RUNNING, []),
        (Action.PAUSE, RunState.PAUSED, [EventKind.PAUSED]),
        (Action.NMI, RunState.RUNNING, []),
        (Action.NOTIFY, RunState.RUNNING, []),
    ],
)
async def test_action_of_an_expiry(tmp_path, action, state, after):
    bench, events = await hung(tmp_path, action)
    assert (await bench.source.observe("web1")).state is state
    await bench.source.stop("web1")
    heard = await until(events, EventKind.GONE)
    kinds = [event.kind for event in heard]
    assert kinds == [EventKind.WATCHDOG, *after, EventKind.GONE]
    assert heard[0].data == {"action": action, "driver": "one-timer", "detail": "one timer"}
    assert heard[0].at == pytest.approx(bench.clock.unix_seconds())


async def test_dump_writes_the_memory_then_resets(tmp_path):
    bench, events = await hung(tmp_path, Action.DUMP)
    seen = await bench.source.observe("web1")
    assert (seen.state, seen.detail) == (RunState.PAUSED, "memory is dumped")
    kinds = [event.kind for event in await until(events, EventKind.RESUMED)]
    assert kinds == [EventKind.WATCHDOG, EventKind.PAUSED, EventKind.RESET, EventKind.RESUMED]
    (dump,) = (tmp_path / "a" / "domains" / "web1").glob("dump-*.mem")
    data = dump.read_bytes()
    assert len(data) == bench.definition.memory_bytes
    assert data[0x1000:0x1008] == b"DWKERNEL"
    assert dump.stat().st_mode & 0o777 == 0o600
    assert await bench.answers(bench.source)


async def test_dump_that_cannot_be_written_still_resets(tmp_path):
    (tmp_path / "a").write_text("no directory")
    bench, events = await hung(tmp_path, Action.DUMP)
    await until(events, EventKind.RESUMED)
    assert await bench.answers(bench.source)


async def test_shutdown_asks_a_live_guest(tmp_path):
    bench = make_bench(tmp_path)
    await started(bench)
    await bench.source.act("web1", Action.SHUTDOWN)
    seen = await bench.source.observe("web1")
    assert (seen.state, seen.detail) == (RunState.ENDED, "the guest shut down")


async def test_graceful_stop_of_a_hung_guest_ends_after_its_time(tmp_path):
    bench = make_bench(tmp_path)
    await started(bench)
    await bench.hang(bench.source)
    before = bench.clock.now_ns()
    await bench.source.stop("web1", graceful_seconds=5)
    assert (bench.clock.now_ns() - before) / 1e9 == pytest.approx(5, abs=0.1)
    assert (await bench.source.observe("web1")).state is RunState.ABSENT


async def test_many_domains_fire_each_at_its_own_time(tmp_path):
    benches = [make_bench(tmp_path, name=f"web{n}") for n in range(5)]
    hypervisor = benches[0].source.hypervisor
    fired = []
    for number, bench in enumerate(benches):
        bench.clock = benches[0].clock
        bench.source = type(bench.source)(bench.source.host, hypervisor)
        await started(bench)
        await bench.guard(bench.source, 10 - number)
        machine = hypervisor.find(bench.source.host, f"web{number}").machine
        machine.events.listen(
            lambda event, n=number: event.kind is EventKind.WATCHDOG and fired.append(n)
        )
        await bench.hang(bench.source)
    benches[0].clock.advance(8.5)
    assert fired == [4, 3, 2]
    benches[0].clock.advance(8.5)
    assert fired == [4, 3, 2, 1, 0]

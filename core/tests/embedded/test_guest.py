"""The guest lives in its memory alone, and fails in the three ways guests fail."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domwarden.contract import EngineError, EventKind, RunState
from domwarden.embedded import EmbeddedEngine
from domwarden.embedded.guest.layout import RECORDS, Counter, Daemon, Dirtier, Kernel, WatchdogState
from domwarden.embedded.guest.records import GuestCorruptError
from domwarden.embedded.schema import SCHEMA
from domwarden.testing.engines.bench import started
from domwarden.testing.machine import DeviceBench

from .helpers import ToyRoom, definition, make_bench

WORDS = [
    *("ping", "uptime", "help", "count", "start", "stop", "dirty", "watchdog", "hang", "panic"),
    *("reboot", "poweroff", "status", "timeout", "pretimeout", "kill", "irqs-off", "corrupt"),
    *("0", "-1", "1e300", "inf", "nan", "99999999999999999999999", "1.5", "4096"),
]


def guest(**boot):
    bench = DeviceBench(guest=True)
    bench.definition.boot.update(boot)
    bench.power_on()
    return bench


def test_records_do_not_overlap():
    records = [Kernel, Counter, Dirtier, Daemon, WatchdogState]
    ends = sorted((r.ADDRESS, r.ADDRESS + 12 + r.LAYOUT.size) for r in records)
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(ends))
    assert (ends[0][0], ends[-1][1] <= RECORDS[1]) == (RECORDS[0], True)


def test_counter_counts_in_guest_time():
    bench = guest(program="counter", period=0.5)
    bench.advance(10.2)
    assert bench.type("count") == ["count 20"]
    bench.machine.become(RunState.PAUSED)
    bench.advance(100)
    bench.machine.become(RunState.RUNNING)
    assert bench.type("count") == ["count 20"]
    bench.type("count stop")
    bench.advance(5)
    assert bench.type("count") == ["count 20"]


def test_dirtier_keeps_its_rate():
    bench = guest(program="dirtier", dirty_rate=1_000_000, dirty_area=2**20)
    bench.machine.memory.take_dirty()
    bench.advance(0.5)
    assert bench.machine.memory.dirty_pages == pytest.approx(500_000 / 4096, abs=4)
    bench.advance(60)
    assert int(bench.type("dirty")[0].split()[1]) == pytest.approx(60_500_000 / 4096, rel=0.01)
    assert bench.machine.memory.dirty_pages <= 2**20 // 4096 + 8


@pytest.mark.parametrize("way", ["irqs-off", "panic", "corrupt"])
def test_hung_guest_does_nothing_until_it_is_reset(way):
    bench = guest(program="counter")
    bench.advance(1)
    assert bench.type(f"hang {way}")[0] == f"hang {way}"
    before = {n: bench.machine.memory.page(n) for n in bench.machine.memory.used_pages()}
    bench.advance(100)
    bench.machine.notify_guest("nmi")
    assert bench.type("ping") == []
    assert before == {n: bench.machine.memory.page(n) for n in bench.machine.memory.used_pages()}
    bench.machine.reset(bench.machine.last_reset)
    assert bench.type("ping") == ["pong"]


def test_panic_is_an_event_and_corruption_is_really_in_the_memory():
    bench = guest()
    bench.type("hang panic")
    assert [event.kind for event in bench.events][-1] is EventKind.PANICKED
    assert "Kernel panic - not syncing: asked for" in bench.machine.console.since(0)
    bench = guest()
    bench.type("hang corrupt")
    assert bench.machine.memory.read(Kernel.ADDRESS, 8) == b"\xde\xad\xbe\xef" * 2
    with pytest.raises(GuestCorruptError):
        Kernel.load(bench.machine.memory)


@pytest.mark.parametrize("record", [Kernel, Counter, Dirtier, Daemon, WatchdogState])
@pytest.mark.parametrize("offset", [0, 7, 8, 12])
def test_any_flipped_byte_of_the_state_stops_the_guest(record, offset):
    bench = guest(program="counter")
    address = record.ADDRESS + offset
    value = bench.machine.memory.read(address, 1)[0] ^ 0x10
    bench.machine.memory.write(address, bytes([value]))
    bench.advance(10)
    assert bench.machine.next_ns() is None


def test_hang_and_corruption_travel():
    source, target = guest(program="counter"), DeviceBench(guest=True)
    source.type("hang corrupt")
    source.move_to(target)
    target.advance(10)
    assert target.type("ping") == []


def test_guest_powers_off_and_reboots_by_itself():
    bench = guest()
    bench.advance(5)
    assert bench.type("reboot") == ["guest: booted after guest reset"]
    assert bench.type("uptime") == ["uptime 0.000"]
    bench.type("poweroff")
    assert (bench.machine.state, bench.machine.detail) == (RunState.ENDED, "the guest shut down")
    assert bench.events[-1].kind is EventKind.SHUTDOWN


@pytest.mark.parametrize("line", ["rm -rf /", "count start x", "dirty start", "hang", "watchdog x"])
def test_nonsense_gets_an_answer(line):
    assert guest().type(line) == [f"guest: cannot do {line!r}; try help"]


@given(st.lists(st.sampled_from(WORDS) | st.text(max_size=8), max_size=4))
def test_no_line_breaks_the_guest(words):
    bench = guest()
    bench.type(" ".join(words))
    bench.advance(0.1)
    if bench.machine.state is RunState.RUNNING and "hang" not in words:
        assert bench.type("ping") == ["pong"]


async def test_device_that_fails_ends_its_own_machine_only(tmp_path):
    bench, other = make_bench(tmp_path), make_bench(tmp_path, name="web2")
    other.source, other.clock = bench.source, bench.clock
    await started(bench)
    await started(other)
    machine = bench.source.hypervisor.find(bench.source.host, "web1").machine

    def fail():
        raise RuntimeError("a bug")

    machine.timer(fail).set(machine.clock_ns() + 1)
    await bench.pass_seconds(1)
    seen = await bench.source.observe("web1")
    assert (seen.state, seen.detail) == (RunState.ENDED, "a device failed: RuntimeError: a bug")
    assert await other.answers(bench.source)


async def test_paused_guest_does_not_read_its_console(tmp_path):
    bench = make_bench(tmp_path)
    await started(bench)
    await bench.source.pause("web1")
    with pytest.raises(EngineError, match="does not run"):
        await bench.type(bench.source, "ping")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"boot": {"program": "doom"}}, "no program 'doom', only counter, dirtier, watchdog"),
        ({"boot": {"kernel": "vmlinuz"}}, "unknown key 'kernel'"),
        ({"memory_bytes": 4096}, "does not fit"),
        ({"memory_bytes": 2**22 + 1}, "does not fit"),
    ],
)
async def test_definition_that_cannot_boot_is_refused(tmp_path, changes, why):
    bench = make_bench(tmp_path, **changes)
    with pytest.raises(EngineError, match=why):
        await bench.source.realize(bench.definition, bench.room(bench.source))


def test_boot_keys_of_a_file_are_those_the_guest_knows(tmp_path):
    import voluptuous

    told = voluptuous.Schema(dict(SCHEMA))(
        {
            "boot": {
                "program": ["counter", "watchdog"],
                "period": "500ms",
                "dirty_rate": "1MiB/s",
                "dirty_area": "4MiB",
                "timeout": "30s",
                "kick": "10s",
                "pretimeout": "5s",
                "nowayout": True,
                "resident": "1MiB",
            },
            "max_iterations": 5,
        }
    )
    from domwarden.embedded.guest.boot import BootParameters

    assert BootParameters.from_mapping(told["boot"]).pretimeout == 5
    for wrong in ({"timeout": "1500ms"}, {"timeout": 30}, {"program": "doom"}, {"x": 1}):
        with pytest.raises(voluptuous.Invalid):
            voluptuous.Schema(dict(SCHEMA))({"boot": wrong})


def test_engine_states_what_it_can_do(tmp_path):
    from domwarden.contract import Action, Host
    from domwarden.embedded import Hypervisor, ManualClock

    engine = EmbeddedEngine(Host("a", tmp_path), Hypervisor(ManualClock()))
    assert frozenset(Action) == engine.ACTIONS
    assert (engine.DEVICE_HOOK, engine.OUTLIVES) == ("attach", False)
    assert EmbeddedEngine(Host("a", tmp_path)).OUTLIVES
    assert engine.control("web1", dict) is None
    assert ToyRoom(definition(), Host("a", tmp_path)).devices

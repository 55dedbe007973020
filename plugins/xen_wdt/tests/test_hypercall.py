"""SCHEDOP_watchdog answers as Xen's does, and the added operations as documented."""

import errno

import pytest

from domwarden.contract import (
    SCHED_OP,
    Action,
    Armed,
    RunState,
    WatchdogAction,
    WatchdogExtension,
)

from .benches import SCRATCH, call, make, watchdog


def test_id_zero_allocates_the_lowest_free_slot():
    bench = make()
    assert [watchdog(bench, 0, 10) for _ in range(3)] == [1, 2, -errno.ENOSPC]
    assert watchdog(bench, 1, 0) == 0
    assert watchdog(bench, 0, 10) == 1


def test_ids_that_are_not_in_use_are_invalid():
    bench = make()
    for number in (1, 2, 3, 0xFFFF_FFFF):
        assert watchdog(bench, number, 10) == -errno.EINVAL
        assert watchdog(bench, number, 0) == -errno.EINVAL


def test_kick_counts_from_now_and_zero_stops():
    bench = make()
    assert watchdog(bench, 0, 10) == 1
    bench.advance(9)
    assert watchdog(bench, 1, 10) == 0
    bench.advance(9.999)
    assert bench.expiries == []
    assert watchdog(bench, 1, 0) == 0
    bench.advance(100)
    assert bench.expiries == []


def test_expiry_comes_at_the_deadline_and_once():
    bench = make()
    watchdog(bench, 0, 10)
    bench.advance_ns(10 * 10**9 - 1)
    assert bench.expiries == []
    bench.advance_ns(1)
    assert bench.expiries == [Action.NOTIFY]
    bench.advance(1000)
    assert bench.expiries == [Action.NOTIFY]
    assert watchdog(bench, 1, 10) == 0  # the id is still in use: a kick arms it again
    bench.advance(10)
    assert len(bench.expiries) == 2


def test_new_timer_of_zero_seconds_expires_at_once():
    bench = make()
    assert watchdog(bench, 0, 0) == 1
    bench.advance_ns(0)
    assert bench.expiries == [Action.NOTIFY]


def test_bad_pointers_fault():
    bench = make()
    memory = bench.machine.memory.size_bytes
    for pointer in (memory, memory - 7, -1, 2**63):
        assert bench.machine.hypercall(SCHED_OP, 6, pointer) == -errno.EFAULT
    assert bench.machine.hypercall(SCHED_OP, 6, memory - 8) == 1


def test_unknown_commands_are_not_implemented():
    bench = make()
    assert bench.machine.hypercall(SCHED_OP, 7, SCRATCH) == -errno.ENOSYS
    assert bench.machine.hypercall(SCHED_OP, 0x4457_00FF, SCRATCH) == -errno.ENOSYS
    assert bench.machine.hypercall(30, 6, SCRATCH) == -errno.ENOSYS


def test_extension_answers_queries():
    bench = make()
    assert call(bench, WatchdogExtension.VERSION) == 1
    assert call(bench, WatchdogExtension.TIME_LEFT, 1) == -errno.EINVAL
    watchdog(bench, 0, 10)
    bench.advance(2.5)
    assert call(bench, WatchdogExtension.TIME_LEFT, 1) == 7500
    assert call(bench, WatchdogExtension.TIMEOUT, 1) == 10
    assert call(bench, WatchdogExtension.WAS_RESET) == 0


def test_pretimeout_interrupts_the_guest_before_the_expiry():
    bench = make(guest=True)
    signals = []
    bench.machine.notify_guest = signals.append
    watchdog(bench, 0, 10)
    assert call(bench, WatchdogExtension.SET_PRETIMEOUT, 1, 10) == -errno.EINVAL
    assert call(bench, WatchdogExtension.SET_PRETIMEOUT, 1, 3) == 0
    bench.advance(6.9)
    watchdog(bench, 1, 10)
    bench.advance(6.9)
    assert signals == []
    bench.advance(0.2)
    assert signals == ["pretimeout"]
    assert bench.expiries == []
    bench.advance(3)
    assert bench.expiries == [Action.NOTIFY]
    assert call(bench, WatchdogExtension.SET_PRETIMEOUT, 1, 0) == 0


@pytest.mark.parametrize("number", list(WatchdogAction)[1:])
def test_timer_has_an_action_of_its_own(number):
    bench = make()
    watchdog(bench, 0, 10)
    assert call(bench, WatchdogExtension.SET_ACTION, 1, 99) == -errno.EINVAL
    assert call(bench, WatchdogExtension.SET_ACTION, 1, number) == 0
    bench.advance(10)
    assert bench.expiries == [Action(number.name.lower())]


def test_reset_frees_the_timers_and_is_remembered():
    bench = make(action=Action.RESET)
    watchdog(bench, 0, 10)
    watchdog(bench, 0, 30)
    bench.advance(10)
    assert bench.expiries == [Action.RESET]
    assert call(bench, WatchdogExtension.WAS_RESET) == 1
    assert watchdog(bench, 2, 10) == -errno.EINVAL
    bench.advance(100)
    assert bench.expiries == [Action.RESET]


def test_reading_tells_the_timer_that_expires_first():
    bench = make()
    assert bench.machine.read_watchdog().armed is Armed.DISARMED
    watchdog(bench, 0, 30)
    watchdog(bench, 0, 10)
    bench.advance(4)
    reading = bench.machine.read_watchdog()
    assert (reading.armed, reading.time_left_seconds) == (Armed.ARMED, 6.0)
    assert (reading.timeout_seconds, reading.last_kick_seconds_ago) == (10.0, 4.0)


@pytest.mark.parametrize(("clock", "fired"), [("host", [Action.NOTIFY]), ("guest", [])])
def test_pause_stops_the_guests_clock_only(clock, fired):
    bench = make(clock)
    watchdog(bench, 0, 10)
    bench.machine.become(RunState.PAUSED)
    bench.advance(11)
    assert bench.expiries == fired


@pytest.mark.parametrize("clock", ["host", "guest"])
def test_time_left_travels_and_the_blackout_does_not_count(clock):
    source, target = make(clock), make(clock, power=False)
    watchdog(source, 0, 10)
    source.advance(4)
    target.advance(1234)
    source.move_to(target)
    source.advance(100)
    assert source.expiries == []
    assert call(target, WatchdogExtension.TIME_LEFT, 1) == 6000
    target.advance(5.999)
    assert target.expiries == []
    target.advance(0.001)
    assert target.expiries == [Action.NOTIFY]


def test_broken_state_is_refused():
    source, target = make(), make(power=False)
    save, _ = source.machine.sections["watchdog/xen_wdt"]
    _, load = target.machine.sections["watchdog/xen_wdt"]
    for data in (b"", save()[:-1], b"\x09" + save()[1:]):
        with pytest.raises(ValueError, match="xen_wdt"):
            load(data)

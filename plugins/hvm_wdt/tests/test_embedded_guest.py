"""The embedded guest's drivers, which have Linux's semantics, on the models."""

from pathlib import Path

import pytest

from domwarden.contract import Action, Armed, Domain, Host, WatchdogEntry
from domwarden.testing.machine import DeviceBench
from domwarden_hvm_wdt import I6300esb, Ib700

DRIVERS = {"i6300esb": I6300esb, "ib700": Ib700}


def bench_with(name: str, *, power: bool = True) -> DeviceBench:
    entry = WatchdogEntry(name, action=Action.RESET)
    bench = DeviceBench(watchdog=entry, guest=True)
    domain = Domain(bench.definition, Host("a", Path("state")), device="watchdog")
    DRIVERS[name]("watchdog", {}).attach(domain, bench.machine)
    if power:
        bench.power_on()
    return bench


@pytest.mark.parametrize("name", DRIVERS)
def test_a_kicking_guest_lives_and_a_hung_one_is_reset(name: str) -> None:
    """Interrupts off: nobody kicks any more."""
    bench = bench_with(name)
    bench.type("watchdog start 10 3")
    bench.advance(100)
    assert not bench.expiries
    reading = bench.machine.read_watchdog()
    assert reading.armed is Armed.ARMED
    assert reading.timeout_seconds == pytest.approx(10, rel=0.01)
    bench.type("hang irqs-off")
    bench.advance(10.1)
    assert bench.expiries == [Action.RESET]
    assert bench.machine.read_watchdog().armed is Armed.DISARMED


def test_after_the_reset_linux_reads_that_the_card_did_it() -> None:
    """CARDRESET, 0x20; the ib700 has no flag for it."""
    bench = bench_with("i6300esb")
    bench.type("watchdog start 10 3")
    bench.type("hang irqs-off")
    bench.advance(10.1)
    assert "bootstatus 0x20" in bench.type("watchdog status")[0]


@pytest.mark.parametrize("name", DRIVERS)
def test_a_magic_close_disarms_and_a_killed_kicker_does_not(name: str) -> None:
    """As Linux's watchdog core does it."""
    bench = bench_with(name)
    bench.type("watchdog start 10 3")
    bench.type("watchdog stop")
    assert bench.machine.read_watchdog().armed is Armed.DISARMED
    bench.type("watchdog start 10 3")
    bench.type("watchdog kill")
    bench.advance(10.1)
    assert bench.expiries == [Action.RESET]


@pytest.mark.parametrize("name", DRIVERS)
def test_the_deadline_travels_with_the_machine(name: str) -> None:
    """A guest that hangs before the move is reset after it, when it would have been."""
    source, target = bench_with(name), bench_with(name, power=False)
    source.type("watchdog start 10 3")
    source.type("hang irqs-off")
    source.advance(6)
    left = source.machine.read_watchdog().time_left_seconds
    assert left is not None
    source.move_to(target)
    assert target.machine.read_watchdog().time_left_seconds == pytest.approx(left)
    target.advance(left - 0.01)
    assert not target.expiries
    target.advance(0.02)
    assert target.expiries == [Action.RESET]
    assert not source.expiries

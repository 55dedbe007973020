"""Xen's timer of dom0 as one of the machine's watchdogs."""

import json

import pytest

from domwarden.contract import WatchdogAbsentError
from domwarden_xen_wdt import NoSlot
from domwarden_xen_wdt.host import LONG_SECONDS, XenHostWatchdog

from .benches import make, watchdog
from .privcmd import Privcmd


@pytest.fixture
def privcmd(tmp_path):
    return Privcmd(make(), tmp_path)


def driver(privcmd, tmp_path):
    return XenHostWatchdog({}, tmp_path, privcmd.connect)


def left(privcmd):
    return privcmd.bench.machine.read_watchdog().time_left_seconds


def test_a_new_guard_takes_its_predecessors_timer_over(privcmd, tmp_path):
    """Killed or handed over, it is the same timer, and the second slot stays free."""
    driver(privcmd, tmp_path).arm(60)
    privcmd.bench.advance(30)
    for _ in range(3):
        second = driver(privcmd, tmp_path)
        assert second.arm(60) == 60
        assert left(privcmd) == 60.0
        privcmd.bench.advance(30)
    second.hand_over(300)
    driver(privcmd, tmp_path).arm(60)
    assert watchdog(privcmd.bench, 0, 100) == 2


def test_a_guard_that_dies_before_its_timer_is_on_record_leaves_nothing_that_fires(
    privcmd, tmp_path, monkeypatch
):
    def dies(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(XenHostWatchdog, "_record", dies)
    with pytest.raises(KeyboardInterrupt):
        driver(privcmd, tmp_path).arm(60)
    assert left(privcmd) == LONG_SECONDS
    privcmd.bench.advance(100_000)
    assert privcmd.bench.expiries == []


@pytest.mark.parametrize(
    "record",
    ["", "[]", '{"timer": 1}', '{"timer": 7, "boot": "BOOT"}', '{"timer": 1, "boot": "another"}'],
)
def test_a_record_of_another_boot_or_a_broken_one_is_not_trusted(privcmd, tmp_path, record):
    """The id on it may be somebody else's timer by now."""
    watchdog(privcmd.bench, 0, 50)
    with open("/proc/sys/kernel/random/boot_id") as boot:
        (tmp_path / "timer.json").write_text(record.replace("BOOT", boot.read().strip()))
    driver(privcmd, tmp_path).arm(60)
    assert json.loads((tmp_path / "timer.json").read_text())["timer"] == 2
    assert left(privcmd) == 50.0


def test_term_gives_the_shutdown_its_time(privcmd, tmp_path):
    made = driver(privcmd, tmp_path)
    made.arm(60)
    made.hand_over(300)
    assert left(privcmd) == 300.0


def test_usr1_frees_the_timer(privcmd, tmp_path):
    made = driver(privcmd, tmp_path)
    made.arm(60)
    made.disarm()
    assert left(privcmd) is None
    assert watchdog(privcmd.bench, 0, 60) == 1
    assert not (tmp_path / "timer.json").exists()


def test_a_timer_that_somebody_freed_is_replaced(privcmd, tmp_path, caplog):
    """As after a restore of a domain that guards itself: unguarded, unless it is noticed."""
    made = driver(privcmd, tmp_path)
    made.arm(60)
    watchdog(privcmd.bench, 1, 0)
    made.kick()
    assert left(privcmd) == 60.0
    assert "timer 1 was gone, armed 1 instead" in caplog.text
    watchdog(privcmd.bench, 1, 0)
    made.hand_over(300)
    assert left(privcmd) == 300.0


def test_two_timers_of_others_leave_none(privcmd, tmp_path):
    watchdog(privcmd.bench, 0, 60)
    watchdog(privcmd.bench, 0, 60)
    with pytest.raises(NoSlot):
        driver(privcmd, tmp_path).arm(60)


def test_without_xen_it_is_absent(tmp_path):
    with pytest.raises(WatchdogAbsentError):
        XenHostWatchdog({"device": str(tmp_path / "privcmd")}, tmp_path).arm(60)

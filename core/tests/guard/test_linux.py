"""The machine's own watchdog, driven over Linux' interface."""

import errno
import logging
import os

import pytest

from domwarden.contract import DomwardenError, WatchdogAbsentError
from domwarden.guard.linux import LinuxWatchdog, Request

from .card import Card


def test_the_granted_time_out_is_what_counts(tmp_path):
    """A card that rounds, or refuses, tells the guard what is really in force."""
    card = Card(tmp_path, most=100)
    driver = card.driver()
    assert driver.arm(60) == 60
    assert driver.arm(200) == 60
    card.lacks = {Request.SETTIMEOUT: errno.EOPNOTSUPP}
    assert driver.arm(20) == 60


def test_kicks_keep_it_from_firing_and_their_absence_does_not(tmp_path):
    card = Card(tmp_path)
    driver = card.driver()
    driver.arm(60)
    for card.now in range(0, 600, 59):
        driver.kick()
        assert not card.fired
    card.now += 60
    assert card.fired


def test_disarming_stops_it(tmp_path):
    card = Card(tmp_path)
    driver = card.driver()
    driver.arm(60)
    driver.disarm()
    assert not card.armed
    assert not card.is_open


def test_a_card_that_knows_no_options_is_stopped_by_the_magic_close(tmp_path):
    card = Card(tmp_path)
    card.lacks = {Request.SETOPTIONS: errno.EOPNOTSUPP}
    driver = card.driver()
    driver.arm(60)
    driver.disarm()
    assert not card.armed


def test_a_card_that_may_not_be_stopped_says_so_and_counts_on(tmp_path):
    card = Card(tmp_path, nowayout=True)
    driver = card.driver()
    driver.arm(60)
    with pytest.raises(DomwardenError, match="cannot be stopped") as caught:
        driver.disarm()
    assert "counts on" in caught.value.hint
    assert card.armed


def test_handing_over_frees_the_device_for_the_next_one(tmp_path):
    card = Card(tmp_path)
    driver = card.driver()
    driver.arm(60)
    driver.hand_over(300)
    assert not card.armed
    assert not card.is_open


def test_handing_over_a_card_that_may_not_be_stopped_gives_the_shutdown_its_time(tmp_path):
    card = Card(tmp_path, nowayout=True)
    driver = card.driver()
    driver.arm(60)
    card.now = 50
    driver.hand_over(300)
    assert card.armed
    assert card.deadline == 350


def test_a_killed_guard_leaves_it_counting(tmp_path):
    """What the kernel does with the descriptor of a process that was killed: a close, no letter."""
    card = Card(tmp_path)
    driver = card.driver()
    driver.arm(60)
    os.close(driver._descriptor)
    driver._descriptor = -1
    assert card.armed
    card.now = 60
    assert card.fired


@pytest.mark.parametrize("name", ["nothing", "nothing/here"])
def test_no_device_means_absent(tmp_path, name):
    with pytest.raises(WatchdogAbsentError, match=name):
        LinuxWatchdog({"device": str(tmp_path / name)}, tmp_path).arm(60)


def test_a_device_in_use_is_no_absence(tmp_path, monkeypatch):
    def busy(*_):
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))

    card = Card(tmp_path)
    monkeypatch.setattr("domwarden.guard.linux.os.open", busy)
    with pytest.raises(DomwardenError, match="another program holds it") as caught:
        card.driver().arm(60)
    assert not isinstance(caught.value, WatchdogAbsentError)


def test_a_reset_by_the_card_is_told(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    Card(tmp_path, was=0x20).driver().arm(60)
    assert "it was this watchdog that reset the machine" in caplog.text


def test_xens_timer_behind_the_kernels_driver_is_no_second_watchdog(tmp_path, caplog):
    Card(tmp_path, identity="xen_wdt").driver().arm(60)
    assert "Xen's timer too" in caplog.text


def test_the_numbers_are_those_of_the_headers():
    """_IOC(direction, 'W', number, size), include/uapi/linux/watchdog.h."""

    def ioc(direction, number, size):
        return direction << 30 | size << 16 | ord("W") << 8 | number

    read, both = 2, 3
    assert {
        Request.GETSUPPORT: ioc(read, 0, 40),
        Request.GETBOOTSTATUS: ioc(read, 2, 4),
        Request.SETOPTIONS: ioc(read, 4, 4),
        Request.KEEPALIVE: ioc(read, 5, 4),
        Request.SETTIMEOUT: ioc(both, 6, 4),
        Request.GETTIMEOUT: ioc(read, 7, 4),
    } == {request: request.value for request in Request}

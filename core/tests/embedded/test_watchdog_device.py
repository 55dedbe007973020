"""The guest's /dev/watchdog has the semantics of Linux' watchdog core, on each of its drivers."""

import pytest

from domwarden.contract import Armed
from domwarden.embedded.guest.hardware import EBUSY, EINVAL, ENODEV, Option
from domwarden.embedded.guest.watchdog import DISABLE_CARD, ENABLE_CARD, WatchdogDevice
from domwarden.testing.machine import DeviceBench

from .helpers import OneTimer
from .test_buses import Bytes


class FakeDomain:
    device = "watchdog"


def guarded(**boot):
    bench = DeviceBench(guest=True)
    bench.definition.boot.update(boot)
    OneTimer().attach(FakeDomain, bench.machine)
    bench.power_on()
    return bench, WatchdogDevice(bench.machine)


def armed(bench):
    return bench.machine.read_watchdog().armed is Armed.ARMED


def test_without_hardware_there_is_no_device():
    bench = DeviceBench(guest=True)
    bench.power_on()
    assert WatchdogDevice(bench.machine).open() == -ENODEV
    assert bench.type("watchdog start") == ["watchdog: -ENODEV"]


def test_open_arms_and_there_is_one_opener():
    bench, device = guarded()
    assert not armed(bench)
    assert device.open() == 0
    assert armed(bench)
    assert device.open() == -EBUSY


def test_close_disarms_after_the_magic_character_only():
    bench, device = guarded()
    device.open()
    device.write(b"V")
    device.close()
    assert not armed(bench)
    device.open()
    device.write(b"V")
    device.write(b"x")  # takes the permission back
    bench.advance(5)
    device.close()
    assert bench.machine.read_watchdog().time_left_seconds == 60.0  # kicked once more
    assert "watchdog: watchdog0: watchdog did not stop!" in bench.machine.console.since(0)
    assert device.open() == 0  # and can be taken over


def test_nowayout_allows_no_stop():
    bench, device = guarded(nowayout=True)
    device.open()
    device.write(b"V")
    assert device.set_options(DISABLE_CARD) == -EBUSY
    device.close()
    assert armed(bench)


def test_set_options_stop_and_start_the_card():
    bench, device = guarded()
    device.open()
    assert device.set_options(DISABLE_CARD) == 0
    assert not armed(bench)
    assert device.set_options(ENABLE_CARD) == 0
    assert armed(bench)
    assert device.set_options(0) == -EINVAL


def test_timeout_is_the_value_used_and_kicks():
    bench, device = guarded()
    device.open()
    bench.advance(50)
    assert device.set_timeout(20) == 20
    assert bench.machine.read_watchdog().time_left_seconds == 20.0
    assert device.set_timeout(0) == -EINVAL
    bench.advance(4.5)
    assert device.time_left() == 15
    assert device.keepalive() == 0
    assert device.time_left() == 20


def test_pretimeout_is_before_the_timeout_and_falls_with_it():
    bench, device = guarded()
    device.open()
    device.set_timeout(20)
    assert device.set_pretimeout(20) == -EINVAL
    assert device.set_pretimeout(5) == 5
    assert device.set_timeout(5) == 5
    assert device.state.pretimeout_seconds == 0
    bench.type("ping")  # the kernel plans what the driver asks for
    device.set_timeout(20)
    device.set_pretimeout(5)
    bench.type("ping")
    bench.advance(14.9)
    assert "watchdog: watchdog0: pretimeout event" not in bench.machine.console.since(0)
    bench.advance(0.2)
    assert bench.machine.console.since(0)[-1] == "watchdog: watchdog0: pretimeout event"
    bench.advance(5)
    assert len(bench.expiries) == 1


def test_support_is_what_linux_says_of_xen():
    _, device = guarded()
    assert device.support() == ("xen_wdt", Option(0x8180))


class CardTrace(Bytes):
    """Registers that remember what was written, in order."""

    def __init__(self, trace, name):
        super().__init__()
        self.trace, self.name = trace, name

    def write(self, offset, size, value):
        super().write(offset, size, value)
        self.trace.append((self.name, offset, size, value))


@pytest.fixture
def card():
    bench, trace = DeviceBench(guest=True), []
    config = CardTrace(trace, "config")
    config.cells[:4] = (0x25AB8086).to_bytes(4, "little")
    registers = CardTrace(trace, "mmio")
    registers.cells[0x0D] = 0x12  # the card rebooted the machine
    bench.machine.map_pci(4, config)
    bench.machine.map_mmio(0xFEBF_4000, 16, registers)
    bench.power_on()
    return bench, WatchdogDevice(bench.machine), trace


UNLOCK = [("mmio", 0x0C, 1, 0x80), ("mmio", 0x0C, 1, 0x86)]


def test_i6300esb_is_probed_as_by_linux(card):
    _, device, trace = card
    assert trace == [
        ("config", 0x10, 4, 0xFEBF_4000),
        ("config", 0x04, 2, 0x02),
        ("config", 0x60, 2, 0x0003),
        ("config", 0x68, 1, 0x00),
        *UNLOCK,
        *UNLOCK,
        ("mmio", 0x0C, 2, 0x300),
    ]
    assert device.state.bootstatus == Option.CARDRESET


def test_i6300esb_is_armed_kicked_and_stopped_as_by_linux(card):
    _, device, trace = card
    trace.clear()
    assert device.open() == 0
    kick = [*UNLOCK, ("mmio", 0x0C, 2, 0x100)]
    load = [*UNLOCK, ("mmio", 0, 4, 30 << 9), *UNLOCK, ("mmio", 4, 4, 30 << 9), *kick]
    assert trace == [*load, ("config", 0x68, 1, 0x02)]
    trace.clear()
    device.write(b"V")
    assert trace == kick
    trace.clear()
    device.close()
    assert trace == [*kick, ("config", 0x68, 1, 0x00)]
    assert [device.set_timeout(seconds) for seconds in (0, 1, 2046, 2047)] == [
        -EINVAL,
        1,
        2046,
        -EINVAL,
    ]


def test_ib700_uses_even_seconds_on_its_two_ports():
    bench, trace = DeviceBench(guest=True), []
    bench.machine.map_ports(0x441, 1, CardTrace(trace, "stop"))
    bench.machine.map_ports(0x443, 1, CardTrace(trace, "start"))
    bench.power_on()
    device = WatchdogDevice(bench.machine)
    assert device.open() == 0
    assert [device.set_timeout(seconds) for seconds in (0, 1, 7, 30, 31)] == [
        -EINVAL,
        2,
        8,
        30,
        -EINVAL,
    ]
    device.write(b"V")
    device.close()
    assert (trace[0], trace[-1]) == (("stop", 0, 1, 0), ("stop", 0, 1, 0))
    assert ("start", 0, 1, 11) in trace
    assert ("start", 0, 1, 14) in trace

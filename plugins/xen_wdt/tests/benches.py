"""Machines with the driver on them."""

from domwarden.contract import SCHED_OP, SCHED_WATCHDOG, Action, Domain, Host, WatchdogEntry
from domwarden.testing.machine import DeviceBench
from domwarden_xen_wdt import XenWdt

SCRATCH = 0x8000


def make(clock="host", action=Action.NOTIFY, guest=False, power=True, host_clock=None):
    bench = DeviceBench(
        watchdog=WatchdogEntry("xen_wdt", action=action), guest=guest, clock=host_clock
    )
    driver = XenWdt("watchdog", {"clock": clock})
    domain = Domain(bench.definition, Host("a", None), device="watchdog")
    assert driver.attach(domain, bench.machine)
    if power:
        bench.power_on()
    return bench


def call(bench, command, number=0, value=0):
    bench.machine.memory.write(SCRATCH, SCHED_WATCHDOG.pack(number, value))
    return bench.machine.hypercall(SCHED_OP, command, SCRATCH)


def watchdog(bench, number, timeout):
    return call(bench, 6, number, timeout)

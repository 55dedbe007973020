"""What runs in the guest: a counter, a writer of memory, a kicker of the watchdog."""

from __future__ import annotations

from domwarden.embedded.clock import NS
from domwarden.embedded.guest.disk import write_sector
from domwarden.embedded.guest.layout import DIRTY_AREA, Counter, Daemon, Dirtier
from domwarden.embedded.guest.watchdog import WatchdogDevice
from domwarden.embedded.machine import EmbeddedMachine
from domwarden.embedded.memory import PAGE_BYTES

DIRTY_PERIOD_NS = NS // 100
#: The guest's timer does not tick faster.
LEAST_PERIOD_NS = NS // 1000


def count(machine: EmbeddedMachine, now_ns: int) -> None:
    """Count once, and note it in sector 0 of the disk as ``count N``."""
    counter = Counter.load(machine.memory)
    counter.value += 1
    counter.next_ns = now_ns + counter.period_ns
    if counter.disk and write_sector(machine, counter.disk, 0, b"count %d\n" % counter.value):
        counter.disk_errors += 1
    counter.store(machine.memory)


def dirty(machine: EmbeddedMachine, now_ns: int) -> None:
    """Write a number to each page that is due, round and round the area."""
    dirtier = Dirtier.load(machine.memory)
    due = dirtier.rate_bytes * (now_ns - dirtier.started_ns) // NS // PAGE_BYTES
    for number in range(max(dirtier.written_pages, due - dirtier.area_pages), due):
        address = DIRTY_AREA + number % dirtier.area_pages * PAGE_BYTES
        machine.memory.write(address, number.to_bytes(8, "little"))
    dirtier.written_pages = due
    dirtier.next_ns = now_ns + max(DIRTY_PERIOD_NS, PAGE_BYTES * NS // dirtier.rate_bytes)
    dirtier.store(machine.memory)


def kick(machine: EmbeddedMachine, now_ns: int) -> None:
    """Write to /dev/watchdog."""
    daemon = Daemon.load(machine.memory)
    daemon.next_ns = now_ns + daemon.interval_ns
    daemon.store(machine.memory)
    WatchdogDevice(machine).write(b"\n")


def start_counter(machine: EmbeddedMachine, period_seconds: float, disk: int) -> None:
    """Let it count from where it is."""
    counter = Counter.load(machine.memory)
    counter.on, counter.period_ns, counter.disk = (
        1,
        max(LEAST_PERIOD_NS, round(period_seconds * NS)),
        disk,
    )
    counter.next_ns = machine.clock_ns() + counter.period_ns
    counter.store(machine.memory)


def start_dirtier(machine: EmbeddedMachine, rate_bytes: int, area_bytes: int) -> None:
    """Write ``rate_bytes`` a second over an area, as far as the memory reaches."""
    room = (machine.memory.size_bytes - DIRTY_AREA) // PAGE_BYTES
    pages = max(1, min(area_bytes // PAGE_BYTES, room))
    now_ns = machine.clock_ns()
    Dirtier(1, max(1, rate_bytes), pages, now_ns, now_ns + DIRTY_PERIOD_NS).store(machine.memory)


def start_daemon(machine: EmbeddedMachine, timeout_seconds: int, interval_seconds: float) -> int:
    """Open the watchdog, set its time-out, and kick it from now on; returns 0 or -errno."""
    device = WatchdogDevice(machine)
    error = device.open()
    if error:
        return error
    used = device.set_timeout(timeout_seconds)
    if used < 0:
        device.write(b"V")
        device.close()
        return used
    interval_ns = max(LEAST_PERIOD_NS, round((interval_seconds or used / 3) * NS))
    Daemon(1, interval_ns, machine.clock_ns() + interval_ns).store(machine.memory)
    return 0


def stop_daemon(machine: EmbeddedMachine, *, magic: bool) -> None:
    """End the kicker: politely, with a V before the close, or as kill -9 does."""
    Daemon().store(machine.memory)
    device = WatchdogDevice(machine)
    if not device.state.opened:
        return
    if magic:
        device.write(b"V")
    device.close()

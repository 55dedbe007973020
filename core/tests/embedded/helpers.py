"""A small watchdog and a disk, so that the core's tests need no distribution of drivers."""

import struct
from pathlib import Path

from domwarden.contract import (
    DISK_BASE,
    DISK_MAGIC,
    DISK_STRIDE,
    SCHED_OP,
    Armed,
    Definition,
    DeviceEntry,
    DiskRegister,
    Domain,
    MigrationSettings,
    Reading,
    ResetKind,
    WatchdogEntry,
)
from domwarden.testing.embedded import EmbeddedBench

NS = 10**9


class OneTimer:
    """One timer behind hypercall 29 on the guest's clock: no more than the guest's driver needs."""

    def attach(self, domain, machine):
        self.machine = machine
        self.timeout = 0
        self.timer = machine.timer(self.fire)
        machine.add_hypercall(SCHED_OP, self.call)
        machine.add_state("watchdog", self.save, self.load)
        machine.add_reset(self.reset)
        machine.add_reading(self.read)
        return True

    def call(self, command, argument):
        if command != 6:
            return -38
        number, seconds = struct.unpack_from("<II", argument)
        if number > 1:
            return -22
        self.timeout = seconds
        if seconds:
            self.timer.set(self.machine.clock_ns() + seconds * NS)
        else:
            self.timer.cancel()
        return 0 if number else 1

    def fire(self):
        self.machine.expire("one timer")

    def reset(self, kind):
        assert kind is not ResetKind.UNKNOWN
        self.timer.cancel()

    def save(self):
        left = self.timer.deadline_ns - self.machine.clock_ns() if self.timer.deadline_ns else -1
        return struct.pack("<qI", left, self.timeout)

    def load(self, data):
        if len(data) != 12:
            raise ValueError("not twelve bytes")
        left, self.timeout = struct.unpack("<qI", data)
        if left >= 0:
            self.timer.set(self.machine.clock_ns() + left)

    def read(self):
        deadline = self.timer.deadline_ns
        if deadline is None:
            return Reading(armed=Armed.DISARMED)
        left = (deadline - self.machine.clock_ns()) / NS
        return Reading(Armed.ARMED, left, self.timeout, self.timeout - left)


class MemoryDisk:
    """A disk of eight sectors that travels in the stream."""

    def attach(self, domain, machine):
        self.sectors = bytearray(8 * 512)
        self.registers = {}
        self.window = bytearray(512)
        machine.map_mmio(DISK_BASE, DISK_STRIDE, self)
        machine.add_state(f"{domain.device}/sectors", lambda: bytes(self.sectors), self.load)
        machine.add_command(domain.device, "sector", self.sector)
        return True

    def load(self, data):
        self.sectors[:] = data

    async def sector(self, arguments):
        number = arguments["sector"]
        return self.sectors[number * 512 : number * 512 + 512].rstrip(b"\0").decode()

    def read(self, offset, size):
        if offset == DiskRegister.MAGIC:
            return DISK_MAGIC
        if offset >= DiskRegister.DATA:
            start = offset - DiskRegister.DATA
            return int.from_bytes(self.window[start : start + size], "little")
        return self.registers.get(offset, 0)

    def write(self, offset, size, value):
        if offset >= DiskRegister.DATA:
            start = offset - DiskRegister.DATA
            self.window[start : start + size] = value.to_bytes(size, "little")
            return
        self.registers[offset] = value
        if offset == DiskRegister.COMMAND:
            at = self.registers.get(DiskRegister.SECTOR_LOW, 0) * 512
            good = at < len(self.sectors)
            self.registers[DiskRegister.STATUS] = 0 if good else 5
            if good and value == 1:
                self.window[:] = self.sectors[at : at + 512]
            elif good and value == 2:
                self.sectors[at : at + 512] = self.window


KINDS = {"one-timer": OneTimer, "memory-disk": MemoryDisk}


class ToyRoom:
    """A room of the devices above."""

    def __init__(self, definition, host):
        self.definition, self.host = definition, host
        self.devices = {entry.id: KINDS[entry.driver]() for entry in definition.devices}
        if definition.watchdog is not None:
            self.devices["watchdog"] = KINDS[definition.watchdog.driver]()

    def ask(self, hook, **arguments):
        return {
            name: getattr(device, hook)(
                Domain(self.definition, self.host, device=name), **arguments
            )
            for name, device in self.devices.items()
        }


def definition(**changes):
    fields = {
        "name": "web1",
        "uuid": "9be5b4e0-0000-4000-8000-000000000001",
        "engine": "embedded",
        "memory_bytes": 16 * 2**20,
        "boot": {"program": ["counter"], "resident": 2**20},
        "watchdog": WatchdogEntry("one-timer"),
        "devices": (DeviceEntry("root", "memory-disk"),),
        "migration": MigrationSettings(
            downtime_limit_seconds=0.05, bandwidth_bytes_per_second=50 * 2**20, timeout_seconds=10.0
        ),
    }
    return Definition(**(fields | changes))


def make_bench(directory: Path, **changes) -> EmbeddedBench:
    return EmbeddedBench(
        definition(**changes),
        directory,
        lambda wanted, host, engine: ToyRoom(wanted, host),
    )


def no_progress(_progress):
    pass


async def state(bench, engine):
    return (await engine.observe("web1")).state

"""Where the guest's state lies: one page a record."""

from __future__ import annotations

import dataclasses
import enum
import struct

from domwarden.embedded.guest.records import Record

#: The firmware leaves the boot parameters here, as JSON behind their length (32 bits).
BOOT_PARAMETERS = 0x0000
#: Arguments of hypercalls.
SCRATCH = 0x6000
#: What a hang by corruption overwrites: all records.
RECORDS = (0x1000, 0x6000)
#: A pattern that stands for the kernel's and the programs' code.
RESIDENT = 0x1_0000
#: What the dirtier writes to.
DIRTY_AREA = 0x10_0000
#: The least memory that this guest boots in.
LEAST_BYTES = 0x20_0000


class Execution(enum.IntEnum):
    """What the guest's processor does."""

    RUNNING = 1
    IRQS_OFF = 2
    PANICKED = 3
    HALTED = 4


@dataclasses.dataclass
class Kernel(Record):
    """The guest's kernel."""

    MAGIC = b"DWKERNEL"
    ADDRESS = 0x1000
    LAYOUT = struct.Struct("<BqI")

    execution: int = Execution.RUNNING
    booted_ns: int = 0
    interrupts: int = 0


@dataclasses.dataclass
class Counter(Record):
    """A program that counts, and notes the count in sector 0 of the first disk."""

    MAGIC = b"DWCOUNT\0"
    ADDRESS = 0x2000
    LAYOUT = struct.Struct("<BQqqQI")

    on: int = 0
    value: int = 0
    period_ns: int = 100_000_000
    next_ns: int = 0
    disk: int = 0
    disk_errors: int = 0


@dataclasses.dataclass
class Dirtier(Record):
    """A program that writes to memory at a rate."""

    MAGIC = b"DWDIRTY\0"
    ADDRESS = 0x3000
    LAYOUT = struct.Struct("<BQIqqQ")

    on: int = 0
    rate_bytes: int = 0
    area_pages: int = 0
    started_ns: int = 0
    next_ns: int = 0
    written_pages: int = 0


@dataclasses.dataclass
class Daemon(Record):
    """The program that kicks /dev/watchdog."""

    MAGIC = b"DWKICK\0\0"
    ADDRESS = 0x4000
    LAYOUT = struct.Struct("<Bqq")

    on: int = 0
    interval_ns: int = 0
    next_ns: int = 0


@dataclasses.dataclass
class WatchdogState(Record):
    """The watchdog driver's and its core's state."""

    MAGIC = b"DWWDT\0\0\0"
    ADDRESS = 0x5000
    LAYOUT = struct.Struct("<BBBBBBIIIqIQI")

    hardware: int = 0
    opened: int = 0
    active: int = 0
    expect_close: int = 0
    nowayout: int = 0
    pretimeout_seen: int = 0
    timeout_seconds: int = 0
    pretimeout_seconds: int = 0
    bootstatus: int = 0
    last_kick_ns: int = 0
    #: PCI slot of a card, id of a Xen timer.
    unit: int = 0
    #: Where a card's registers are.
    base: int = 0
    #: Whether the hypervisor has the extended operation set.
    extended: int = 0

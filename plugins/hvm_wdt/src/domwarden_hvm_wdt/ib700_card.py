"""The ib700 card on an embedded machine."""

from __future__ import annotations

import struct

from domwarden.contract import Armed, Machine, Reading, ResetKind

#: Ports: 0x441 and 0x442 disarm, 0x443 and 0x444 arm (QEMU's wdt_ib700.c).
BASE = 0x441
PORTS = 4
ARM_OFFSET = 2
NS = 1_000_000_000

_FIELDS = struct.Struct(">B?Bqq")
_VERSION = 1


def timeout_ns(value: int) -> int:
    """Return the time that a value written to port 0x443 means: 0 is 30 s, 15 is 0 s."""
    return (30 - 2 * (value & 0x0F)) * NS


class Ib700Card:
    """One timer; any write to one port disarms it, a write to the other arms or kicks it."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._timer = machine.timer(self._ran_out)
        self._value = 0
        self._kicked_ns = 0

    @property
    def deadline_ns(self) -> int | None:
        """When it fires, or None while it is disarmed."""
        return self._timer.deadline_ns

    def plug(self, device_id: str) -> None:
        """Put the card into the machine."""
        machine = self._machine
        machine.map_ports(BASE, PORTS, self)
        machine.add_state(f"{device_id}/ib700", self.save, self.load)
        machine.add_reset(self.reset)
        machine.add_reading(self.reading)

    def read(self, offset: int, size: int) -> int:
        """Nothing can be read."""
        return (1 << 8 * size) - 1

    def write(self, offset: int, size: int, value: int) -> None:
        """Write one byte, or two of the same register pair; other widths reach nothing.

        16 bits at the first port of a pair write both, at the second only the low byte (QEMU's
        ``portio_write``).
        """
        if size > 2:
            return
        self._write_byte(offset, value & 0xFF)
        if size == 2 and offset % 2 == 0:
            self._write_byte(offset + 1, value >> 8)

    def reset(self, kind: ResetKind) -> None:
        """Disarm with the machine."""
        self._timer.cancel()

    def reading(self) -> Reading:
        """Return the timer as the host may see it."""
        now_ns, deadline = self._machine.clock_ns(), self._timer.deadline_ns
        if deadline is None:
            return Reading(armed=Armed.DISARMED)
        return Reading(
            armed=Armed.ARMED,
            time_left_seconds=max(0, deadline - now_ns) / NS,
            timeout_seconds=timeout_ns(self._value) / NS,
            last_kick_seconds_ago=max(0, now_ns - self._kicked_ns) / NS,
        )

    def save(self) -> bytes:
        """Return the state as bytes; times are relative to now, so they count on over there."""
        now_ns, deadline = self._machine.clock_ns(), self._timer.deadline_ns
        if deadline is None:
            return _FIELDS.pack(_VERSION, False, 0, 0, 0)
        left_ns, kicked_ago_ns = deadline - now_ns, now_ns - self._kicked_ns
        return _FIELDS.pack(_VERSION, True, self._value, left_ns, kicked_ago_ns)

    def load(self, data: bytes) -> None:
        """Take what :meth:`save` returned; raises ValueError for anything else."""
        if len(data) != _FIELDS.size or data[0] != _VERSION:
            raise ValueError(f"not a state of this card: {len(data)} bytes, version {data[:1]!r}")
        now_ns = self._machine.clock_ns()
        _, counts, self._value, left_ns, kicked_ago_ns = _FIELDS.unpack(data)
        self._kicked_ns = now_ns - kicked_ago_ns
        if counts:
            self._timer.set(now_ns + left_ns)
        else:
            self._timer.cancel()

    def _write_byte(self, offset: int, value: int) -> None:
        if offset < ARM_OFFSET:
            self._timer.cancel()
            return
        self._value = value
        self._kicked_ns = self._machine.clock_ns()
        self._timer.set(self._kicked_ns + timeout_ns(value))

    def _ran_out(self) -> None:
        self._machine.expire("the card's timer ran out")

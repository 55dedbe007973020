"""The network card of an embedded machine: its MAC, with a count of its announcements."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

from domwarden.contract import Machine

#: Where cards sit in memory: up to 16, 4 KiB each.
BASE = 0xFE90_0000
STRIDE = 0x1000
SLOTS = 16
#: Registers of 4 bytes: the letters ``nic0``, the MAC's first four bytes, its last two, a count.
MAGIC = int.from_bytes(b"nic0", "little")
MAGIC_REGISTER, MAC_LOW, MAC_HIGH, ANNOUNCED = 0x00, 0x04, 0x08, 0x0C
REGISTERS_BYTES = 0x10

_STATE = struct.Struct(">B6sI")
_VERSION = 1


class Nic:
    """A card without a wire: what matters to a move is that it keeps its MAC and is announced."""

    def __init__(self, mac: str) -> None:
        self.mac = bytes.fromhex(mac.replace(":", ""))
        self.announced = 0

    def plug(self, machine: Machine, device_id: str) -> None:
        """Put the card at the first free place; raises ValueError when there is none."""
        for slot in range(SLOTS):
            try:
                machine.map_mmio(BASE + slot * STRIDE, REGISTERS_BYTES, self)
            except ValueError:
                continue
            break
        else:
            raise ValueError(f"network card {device_id}: all {SLOTS} places are taken")
        machine.add_state(f"{device_id}/nic", self.save, self.load)
        machine.add_command(device_id, "announce", self.announce)

    def read(self, offset: int, size: int) -> int:
        """Read one register, or a part of it."""
        registers = struct.pack("<I6s2xI", MAGIC, self.mac, self.announced)
        return int.from_bytes(registers[offset : offset + size].ljust(size, b"\xff"), "little")

    def write(self, offset: int, size: int, value: int) -> None:
        """Nothing can be written."""

    async def announce(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """Count an announcement of where the card now is."""
        self.announced += 1
        return {"mac": self.mac.hex(":"), "announced": self.announced}

    def save(self) -> bytes:
        """Return the state as bytes."""
        return _STATE.pack(_VERSION, self.mac, self.announced)

    def load(self, data: bytes) -> None:
        """Take what :meth:`save` returned; raises ValueError for anything else."""
        if len(data) != _STATE.size or data[0] != _VERSION:
            raise ValueError(f"not a state of a network card: {len(data)} bytes")
        _, self.mac, self.announced = _STATE.unpack(data)

"""The registers and commands of the embedded TPM."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from domwarden.contract import Machine
from domwarden_tpm_migrate.model import DIGEST_BYTES, NV_LIMIT_BYTES, TpmModel

#: Where real TPMs have their TIS interface; this one is simpler.
BASE = 0xFED4_0000
SIZE = 0x1000
MAGIC = int.from_bytes(b"DWTP", "little")
_DIGEST_END = 0x40 + DIGEST_BYTES
_NV_END = 0x800 + NV_LIMIT_BYTES


class Register(enum.IntEnum):
    """Offsets of registers of 32 bits, then two windows."""

    MAGIC = 0x00
    #: The PCR that the next command is about.
    PCR = 0x04
    #: Writing a Command carries it out before the write returns.
    COMMAND = 0x08
    #: 0 after a command that succeeded, 1 after one that did not.
    STATUS = 0x0C
    #: Bytes of NV memory.
    NV_BYTES = 0x10
    DIGEST = 0x40
    NV = 0x800


class Command(enum.IntEnum):
    """What the guest may ask."""

    #: Extend PCR with DIGEST.
    EXTEND = 1
    #: Fetch PCR into DIGEST.
    READ_PCR = 2
    #: Fetch NV memory into NV and NV_BYTES.
    READ_NV = 3
    #: Replace NV memory by the first NV_BYTES of NV.
    WRITE_NV = 4


class TpmRegisters:
    """The guest's window on the model; what is in the windows does not outlive a move."""

    def __init__(self, model: TpmModel) -> None:
        self._model = model
        self._pcr = 0
        self._status = 0
        self._nv_bytes = 0
        self._window = bytearray(SIZE)

    def read(self, offset: int, size: int) -> int:
        """Read a register."""
        if _in_windows(offset, size):
            return int.from_bytes(self._window[offset : offset + size], "little")
        values: dict[int, int] = {
            Register.MAGIC: MAGIC,
            Register.PCR: self._pcr,
            Register.STATUS: self._status,
            Register.NV_BYTES: self._nv_bytes,
        }
        return values.get(offset, 0xFFFFFFFF) if size == 4 else (1 << 8 * size) - 1

    def write(self, offset: int, size: int, value: int) -> None:
        """Write a register."""
        if _in_windows(offset, size):
            self._window[offset : offset + size] = value.to_bytes(size, "little")
        elif size == 4 and offset == Register.PCR:
            self._pcr = value
        elif size == 4 and offset == Register.NV_BYTES:
            self._nv_bytes = value
        elif size == 4 and offset == Register.COMMAND:
            try:
                self._status = self._perform(value)
            except (ValueError, OSError):
                self._status = 1

    def _perform(self, command: int) -> int:
        digest = slice(Register.DIGEST, _DIGEST_END)
        if command == Command.EXTEND:
            self._model.extend(self._pcr, bytes(self._window[digest]))
        elif command == Command.READ_PCR:
            self._window[digest] = self._model.pcr(self._pcr)
        elif command == Command.READ_NV:
            nv = self._model.nv
            self._window[Register.NV : Register.NV + len(nv)] = nv
            self._nv_bytes = len(nv)
        elif command == Command.WRITE_NV and self._nv_bytes <= NV_LIMIT_BYTES:
            self._model.write_nv(bytes(self._window[Register.NV : Register.NV + self._nv_bytes]))
        else:
            return 1
        return 0


def plug(machine: Machine, device: str, model: TpmModel) -> None:
    """Put the TPM on the memory bus, into the stream and under its commands."""

    async def store(arguments: Mapping[str, Any]) -> None:
        await asyncio.to_thread(model.store, Path(arguments["directory"]))

    async def load(arguments: Mapping[str, Any]) -> None:
        await asyncio.to_thread(model.read_file, Path(arguments["directory"]))

    async def extend(arguments: Mapping[str, Any]) -> None:
        model.extend(arguments["pcr"], bytes.fromhex(arguments["digest"]))

    async def pcr(arguments: Mapping[str, Any]) -> str:
        return model.pcr(arguments["pcr"]).hex()

    machine.map_mmio(BASE, SIZE, TpmRegisters(model))
    machine.add_state(f"{device}/tpm", model.save, model.load)
    machine.add_reset(model.reset)
    for name, handler in (("store", store), ("load", load), ("extend", extend), ("pcr", pcr)):
        machine.add_command(device, name, handler)


def _in_windows(offset: int, size: int) -> bool:
    end = offset + size
    digest = offset >= Register.DIGEST and end <= _DIGEST_END
    return digest or (offset >= Register.NV and end <= _NV_END)

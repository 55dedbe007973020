"""How a guest keeps its state in memory: fixed records with a magic number and a checksum."""

from __future__ import annotations

import dataclasses
import struct
import zlib
from typing import Any, ClassVar, TypeVar

from domwarden.embedded.memory import PagedMemory

_HEADER = struct.Struct("<8sI")
RecordT = TypeVar("RecordT", bound="Record")


class GuestCorruptError(Exception):
    """What lies in memory is no longer the guest's state."""


class Record:
    """A dataclass at a fixed address; LAYOUT packs its fields in order."""

    MAGIC: ClassVar[bytes]
    ADDRESS: ClassVar[int]
    LAYOUT: ClassVar[struct.Struct]

    @classmethod
    def load(cls: type[RecordT], memory: PagedMemory) -> RecordT:
        """Decode it; raises GuestCorruptError."""
        data = memory.read(cls.ADDRESS, _HEADER.size + cls.LAYOUT.size)
        magic, checksum = _HEADER.unpack(data[: _HEADER.size])
        body = data[_HEADER.size :]
        if magic != cls.MAGIC or checksum != zlib.crc32(body):
            raise GuestCorruptError(f"no {cls.__name__} at {cls.ADDRESS:#x}")
        return cls(*cls.LAYOUT.unpack(body))

    def store(self, memory: PagedMemory) -> None:
        """Encode it."""
        fields: list[Any] = [getattr(self, field.name) for field in dataclasses.fields(self)]  # type: ignore[arg-type]  # every subclass is a dataclass
        body = self.LAYOUT.pack(*fields)
        memory.write(self.ADDRESS, _HEADER.pack(self.MAGIC, zlib.crc32(body)) + body)

"""What a domain file's ``boot`` says to the embedded guest."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from domwarden.embedded.guest.layout import BOOT_PARAMETERS
from domwarden.embedded.guest.records import GuestCorruptError
from domwarden.embedded.memory import PAGE_BYTES, PagedMemory

PROGRAMS = ("counter", "dirtier", "watchdog")


@dataclasses.dataclass(frozen=True)
class BootParameters:
    """Programs that start at boot and their settings; seconds and bytes.

    ``kick`` 0 means a third of the time-out; ``pretimeout`` 0 means none; ``resident`` is how much
    of the memory the guest's image fills.
    """

    program: tuple[str, ...] = ()
    period: float = 0.1
    dirty_rate: int = 1024 * 1024
    dirty_area: int = 1024 * 1024
    timeout: int = 30
    kick: float = 0.0
    pretimeout: int = 0
    nowayout: bool = False
    resident: int = 256 * 1024

    @classmethod
    def from_mapping(cls, boot: Mapping[str, Any]) -> BootParameters:
        """Read validated settings; raises ValueError for a key or program that does not exist."""
        fields = dict(boot)
        unknown = sorted(set(fields) - {field.name for field in dataclasses.fields(cls)})
        if unknown:
            raise ValueError(f"boot: unknown key {unknown[0]!r}")
        program = fields.pop("program", ())
        names = tuple(program.split()) if isinstance(program, str) else tuple(program)
        strange = sorted(set(names) - set(PROGRAMS))
        if strange:
            raise ValueError(f"boot: no program {strange[0]!r}, only {', '.join(PROGRAMS)}")
        return cls(program=names, **fields)

    def store(self, memory: PagedMemory) -> None:
        """Leave them where the guest looks for them."""
        data = json.dumps(dataclasses.asdict(self)).encode()
        if len(data) > PAGE_BYTES - 4:
            raise ValueError("boot: parameters are longer than a page")
        memory.write(BOOT_PARAMETERS, len(data).to_bytes(4, "little") + data)

    @classmethod
    def load(cls, memory: PagedMemory) -> BootParameters:
        """Find them in memory; raises GuestCorruptError."""
        length = int.from_bytes(memory.read(BOOT_PARAMETERS, 4), "little")
        try:
            return cls.from_mapping(
                json.loads(memory.read(BOOT_PARAMETERS + 4, length % PAGE_BYTES))
            )
        except ValueError as error:
            raise GuestCorruptError("no boot parameters") from error

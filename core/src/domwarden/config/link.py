"""Where hosts meet."""

from __future__ import annotations

import dataclasses
import re

#: Unassigned at https://www.iana.org/assignments/service-names-port-numbers; not ephemeral either.
DEFAULT_PORT = 16519

_ADDRESS = re.compile(
    r"(?:\[(?P<six>[0-9A-Fa-f:.]{2,45})\]|(?P<host>[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}))"
    r"(?::(?P<port>[1-9][0-9]{0,4}))?"
)


@dataclasses.dataclass(frozen=True)
class Address:
    """A host and a port; an empty host is every address of this machine."""

    host: str = ""
    port: int = DEFAULT_PORT

    @classmethod
    def parse(cls, text: str) -> Address:
        """Return what ``m2``, ``m2:16519`` or ``[fd00::2]:16519`` says; raises ValueError."""
        found = _ADDRESS.fullmatch(text)
        port = int(found["port"] or DEFAULT_PORT) if found else 0
        if found is None or port > 65535:
            raise ValueError(
                f"expected HOST:PORT such as m2:{DEFAULT_PORT} or [fd00::2]:{DEFAULT_PORT}"
            )
        return cls(found["six"] or found["host"], port)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host or "*"
        return f"{host}:{self.port}"

"""The log of a machine's serial line."""

from __future__ import annotations

LIMIT_BYTES = 64 * 1024


class Console:
    """The last 64 KiB a guest printed; they travel with it."""

    def __init__(self) -> None:
        self._text = bytearray()
        self._dropped = 0

    def print(self, line: str) -> None:
        """Append a line."""
        self._text += line.encode() + b"\n"
        surplus = len(self._text) - LIMIT_BYTES
        if surplus > 0:
            del self._text[:surplus]
            self._dropped += surplus

    @property
    def position(self) -> int:
        """How many bytes were ever printed."""
        return self._dropped + len(self._text)

    def since(self, position: int) -> list[str]:
        """Return the lines printed after ``position``, as far as they are kept."""
        start = max(0, position - self._dropped)
        return self._text[start:].decode(errors="replace").splitlines()

    def save(self) -> bytes:
        """Return the log for the stream."""
        return bytes(self._text)

    def load(self, data: bytes) -> None:
        """Take the log of the machine's former place."""
        if len(data) > LIMIT_BYTES:
            raise ValueError(f"console of {len(data)} bytes, at most {LIMIT_BYTES} are kept")
        self._text = bytearray(data)
        self._dropped = 0

"""Collects the mistakes of one file."""

from __future__ import annotations

from collections.abc import Sequence

from domwarden.config.nodes import Mark, shorten
from domwarden.contract import Problem

#: Keys and list positions from the root of a file to one of its values.
Path = tuple[str | int, ...]

#: What nobody reads to the end need not be collected to the end.
LIMIT = 200
# The longest path, complaint and hint; a hint lists choices.
_WIDTHS = (200, 1000, 2000)


class Report:
    """The problems of one file, each once, in the order of the file."""

    def __init__(self, file: str) -> None:
        self.file = file
        self._found: dict[Problem, None] = {}

    def add(self, mark: Mark, path: Path, what: str, hint: str = "") -> None:
        """Record one mistake at a place."""
        if len(self._found) < LIMIT:
            # Keys and words of the file are in them, and one problem is one line.
            parts = zip((dotted(path), what, hint), _WIDTHS, strict=True)
            said = [shorten(text, width) for text, width in parts]
            self._found[Problem(self.file, mark.line, mark.column, *said)] = None
        elif len(self._found) == LIMIT:
            more = "and more: the first 200 problems are shown"
            self._found[Problem(self.file, mark.line, mark.column, "", more)] = None

    @property
    def full(self) -> bool:
        """Whether nothing more will be recorded, so that looking for more is waste."""
        return len(self._found) > LIMIT

    @property
    def problems(self) -> list[Problem]:
        """What was found so far."""
        return sorted(self._found)


def dotted(path: Sequence[str | int]) -> str:
    """Return ``devices.root.sizes[2]`` for keys and list positions."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text

"""What a driver has against a domain's file as a whole."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Misfit:
    """One thing that cannot be, however well each key is written by itself.

    ``path`` are the keys that lead to it from the driver's own section of the file (an engine's is
    the whole file); ``what`` is wrong there, and ``hint`` is what to write instead.
    """

    path: tuple[str, ...]
    what: str
    hint: str = ""

"""Writing a guest's memory to a file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from domwarden.embedded.memory import PAGE_BYTES


def write_dump(path: Path, pages: Mapping[int, bytes], size_bytes: int) -> None:
    """Write a raw image of the memory, sparse where no page was used; raises OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.truncate(size_bytes)
        for number, page in pages.items():
            file.seek(number * PAGE_BYTES)
            file.write(page)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)

"""The cost of making something durable in a directory, with the journal's own settings."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

#: About what one record of a domain holds.
RECORD = "x" * 2048


def commit_seconds(directories: list[Path], count: int) -> float:
    """Return the time of so many commits (WAL, synchronous=FULL), one after the other.

    They take turns between the directories, as the two journals of a migration do.
    """
    connections = [_open(directory / "bench.sqlite") for directory in directories]
    try:
        begun = time.monotonic()
        for number in range(count):
            connection = connections[number % len(connections)]
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("INSERT INTO records VALUES (?)", (RECORD,))
            connection.execute("COMMIT")
        return time.monotonic() - begun
    finally:
        for connection in connections:
            connection.close()


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE IF NOT EXISTS records (record TEXT NOT NULL)")
    return connection

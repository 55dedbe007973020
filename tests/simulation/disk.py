"""One host's disk: SQLite itself in memory, whose commits can fail, lie, or be forgotten."""

from __future__ import annotations

import functools
import itertools
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

from domwarden.journal.store import Store

_NUMBERS = itertools.count()


@functools.cache
def _empty_journal() -> bytes:
    """Make the tables once: thousands of hosts begin with them."""
    with tempfile.TemporaryDirectory() as directory:
        made = sqlite3.connect(":memory:", isolation_level=None)
        store = Store(Path(directory), lambda _path: made)
        store.open()
        # Nobody has named it yet: each host's journal gets a name of its own.
        made.execute("DELETE FROM identity")
        contents = made.serialize()
        store.close()
        return contents


class Disk:
    """What survives a power cut of the host, and what goes wrong next.

    All processes of the host share one connection: each transaction begins and ends within one
    event of the simulation, so none ever meets another.
    """

    def __init__(self) -> None:
        self.sqlite = sqlite3.connect(":memory:", isolation_level=None)
        self.sqlite.deserialize(_empty_journal())
        #: The file as a power cut would leave it, while there are commits that were not synced.
        self._synced: bytes | None = None
        #: What the next commits do: "error", "error though done", "full".
        self.next_commits: list[str] = []
        #: The same for the next one that releases or aborts a move.
        self.next_decision = ""
        #: Nothing can be read or written.
        self.broken = False

    def connect(self, path: Path) -> sqlite3.Connection:
        """Open the journal as a process of the host does."""
        if self.broken:
            raise _error("disk I/O error", sqlite3.SQLITE_IOERR)
        path.touch()
        return Connection(self)  # type: ignore[return-value]  # what a store needs of one

    def begin(self, connection: Connection) -> None:
        """Keep what is durable before a transaction that will not be synced."""
        if self._synced is None and not connection.synced:
            self._synced = self.sqlite.serialize()

    def committed(self, connection: Connection) -> None:
        """A synced commit takes everything before it along: there is one log."""
        if connection.synced:
            self._synced = None

    def replaced(self) -> None:
        """Be another disk, which knows nothing."""
        self.sqlite.close()
        self.sqlite = sqlite3.connect(":memory:", isolation_level=None)
        self.sqlite.deserialize(_empty_journal())
        self._synced = None

    def power_lost(self) -> None:
        """Forget what was not synced; every process is dead."""
        contents, self._synced = self._synced, None
        if contents is not None:
            self.sqlite.close()
            self.sqlite = sqlite3.connect(":memory:", isolation_level=None)
            self.sqlite.deserialize(contents)

    def has_fact(self, migration: str, fact: str) -> bool:
        query = "SELECT 1 FROM facts WHERE migration = ? AND fact = ?"
        return self.sqlite.execute(query, (migration, fact)).fetchone() is not None

    def decision(self, migration: str) -> str:
        query = "SELECT decision FROM decisions WHERE migration = ?"
        row = self.sqlite.execute(query, (migration,)).fetchone()
        return row[0] if row else ""

    def knows(self, migration: str) -> bool:
        query = "SELECT 1 FROM migrations WHERE id = ?"
        return self.sqlite.execute(query, (migration,)).fetchone() is not None

    def epoch(self) -> int:
        """Return the highest epoch under which a domain was this host's."""
        return int(self.sqlite.execute("SELECT coalesce(max(epoch), 0) FROM domains").fetchone()[0])

    def released(self) -> list[tuple[str, str]]:
        """Return the moves that wait for another host to run the domain, each with that host."""
        query = (
            "SELECT id, json_extract(record, '$.peer') FROM migrations JOIN decisions ON"
            " migration = id WHERE done = 0 AND decision = 'released'"
            " AND json_extract(record, '$.movement') = 'migrate'"
            " AND NOT EXISTS (SELECT 1 FROM facts WHERE migration = id"
            " AND fact IN ('returned', 'reclaimed', 'stopped'))"
        )
        return self.sqlite.execute(query).fetchall()

    def unfinished(self) -> list[str]:
        """Return the moves that are not done, as anybody may read them who has the disk."""
        return [row[0] for row in self.sqlite.execute("SELECT id FROM migrations WHERE done = 0")]

    def close(self) -> None:
        self.sqlite.close()


class Connection:
    """SQLite's own, watched and disturbed where it meets the disk."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self.synced = True  # SQLite's default is FULL
        self._decides = False

    @property
    def in_transaction(self) -> bool:
        return self._disk.sqlite.in_transaction

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        disk = self._disk
        if disk.broken:
            if disk.sqlite.in_transaction:
                disk.sqlite.execute("ROLLBACK")
            raise _error("disk I/O error", sqlite3.SQLITE_IOERR)
        if sql.startswith("PRAGMA synchronous="):
            self.synced = sql.rpartition("=")[2] in {"FULL", "EXTRA", "2", "3"}
        elif sql == "BEGIN IMMEDIATE":
            disk.begin(self)
            self._decides = False
        elif "INTO decisions" in sql:
            self._decides = True
        elif sql == "COMMIT":
            return self._commit(disk)
        return disk.sqlite.execute(sql, *parameters)

    def _commit(self, disk: Disk) -> sqlite3.Cursor:
        fault = disk.next_commits.pop(0) if disk.next_commits else ""
        if self._decides and disk.next_decision:
            fault, disk.next_decision = disk.next_decision, ""
        if fault == "full":
            raise _error("database or disk is full", sqlite3.SQLITE_FULL)
        if fault == "error":
            disk.sqlite.execute("ROLLBACK")
        else:
            done = disk.sqlite.execute("COMMIT")
            disk.committed(self)
            if not fault:
                return done
        raise _error("disk I/O error", sqlite3.SQLITE_IOERR)

    def close(self) -> None:
        """The disk keeps it open."""


def _error(what: str, code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError(what)
    error.sqlite_errorcode = code
    return error

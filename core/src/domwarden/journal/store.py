"""One SQLite file with the durability that a commit point needs."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from domwarden.contract import BrokenError
from domwarden.journal.reserve import Reserve
from domwarden.journal.schema import UPGRADES, VERSION

#: How long another process of this host may hold the journal's write lock.
BUSY_SECONDS = 10.0

#: More log than one move writes after its PREPARE.
LOG_BYTES = 256 * 1024

Connect = Callable[[Path], sqlite3.Connection]


class CommitUnknownError(Exception):
    """A commit failed: it may or may not be durable; the file was reopened, read it again."""


def connect(path: Path) -> sqlite3.Connection:
    """Open a connection that begins and commits only when told to."""
    # The journal has one thread of its own, made after this object may have been.
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False)


class Store:
    """The file ``journal.sqlite`` in a directory; not for two threads at once.

    Every method may raise BrokenError: a journal that cannot be read means *unknown*, never empty.
    """

    def __init__(self, directory: Path, connect: Connect = connect) -> None:
        self.path = directory / "journal.sqlite"
        self.reserve = Reserve(directory / "journal.reserve")
        # Beside the journal, so that one that vanished is not taken for a new host's.
        self._mark = directory / "journal.id"
        self._connect = connect
        self._connection: sqlite3.Connection | None = None

    def open(self) -> None:
        """Open the file, making it on a new host; raises BrokenError when it was lost."""
        known = self._known_identity()
        if known is not None and not self.path.exists():
            raise BrokenError(
                f"{self.path} is gone, but this host had a journal",
                hint=f"bring it back, or remove {self._mark} once no domain of this host runs",
            )
        with self._faults():
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._open_connection()
            identity = self._upgrade()
        if known is None:
            self._mark_identity(identity)
        elif known != identity:
            self.close()
            raise BrokenError(
                f"{self.path} is not the journal that this host wrote",
                hint=f"bring the right one back, or remove {self._mark}",
            )

    def _open_connection(self) -> None:
        connection = self._connect(self.path)
        self._connection = connection
        connection.execute(f"PRAGMA busy_timeout={int(BUSY_SECONDS * 1000)}")
        connection.execute("PRAGMA journal_mode=WAL")
        # FULL syncs the log at each commit; NORMAL would not, and a power cut could undo a release.
        connection.execute("PRAGMA synchronous=FULL")

    def _upgrade(self) -> str:
        connection = self.connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            version = int(connection.execute("PRAGMA user_version").fetchone()[0])
            if version > VERSION:
                raise BrokenError(
                    f"{self.path} has version {version}, this domwarden knows {VERSION}",
                    hint="use the version that wrote it",
                )
            for statements in UPGRADES[version:]:
                for statement in statements:
                    connection.execute(statement)
            connection.execute(f"PRAGMA user_version={VERSION}")
            row = connection.execute("SELECT journal FROM identity").fetchone()
            if row is None:
                row = (str(uuid.uuid4()),)
                connection.execute("INSERT INTO identity VALUES (?)", row)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        return str(row[0])

    def _known_identity(self) -> str | None:
        try:
            return self._mark.read_text().strip()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise BrokenError(f"{self._mark} cannot be read: {error.strerror}") from error

    def _mark_identity(self, identity: str) -> None:
        with self._mark.open("w") as file:
            file.write(identity + "\n")
            file.flush()
            os.fsync(file.fileno())
        directory = os.open(self._mark.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    @property
    def connection(self) -> sqlite3.Connection:
        """The open connection; raises BrokenError when there is none."""
        if self._connection is None:
            raise BrokenError(f"{self.path} is not open")
        return self._connection

    def close(self) -> None:
        """Close the file; idempotent."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Read; what SQLite cannot read is a BrokenError."""
        with self._faults():
            yield self.connection

    def write(self, work: Callable[[sqlite3.Connection], object]) -> None:
        """Do the work in one transaction, durable on return.

        A full disk gives back the reserved space and tries once more. Raises CommitUnknownError
        when the commit itself failed.
        """
        try:
            self._transaction(work)
        except sqlite3.OperationalError as error:
            if not _disk_full(error) or not self.reserve.give_back():
                raise self._broken(error) from error
            try:
                self._transaction(work)
            except sqlite3.Error as again:
                raise self._broken(again) from again
        except (sqlite3.Error, OSError) as error:
            raise self._broken(error) from error

    def _transaction(self, work: Callable[[sqlite3.Connection], object]) -> None:
        connection = self.connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            work(connection)
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        try:
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            if _disk_full(error) and connection.in_transaction:
                connection.execute("ROLLBACK")  # SQLite says that nothing was committed
                raise
            self._reopen()
            raise CommitUnknownError(str(error)) from error

    def prepare_log(self) -> None:
        """Grow the log now and empty it, so that the next commits only overwrite what is there.

        A commit that makes the log longer syncs the file's length too, which took half as long
        again; an empty log also has no checkpoint to do for a long while.
        """
        filler = (LOG_BYTES,)
        self.write(lambda c: c.execute("INSERT INTO filler VALUES (zeroblob(?))", filler))
        self.write(lambda c: c.execute("DELETE FROM filler"))
        with self.reading() as connection:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def _reopen(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            self.close()
        self._connection = None
        with self._faults():
            self._open_connection()

    @contextlib.contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise self._broken(error) from error

    def _broken(self, error: Exception) -> BrokenError:
        return BrokenError(
            f"{self.path} cannot be used: {error}",
            hint="what it held is unknown; repair it or its disk before acting on its domains",
        )


def _disk_full(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL

"""Each kind of record in its table."""

from __future__ import annotations

import functools
import sqlite3

from domwarden.journal.records import (
    DomainRecord,
    Entry,
    FactRecord,
    HistoryRecord,
    JobRecord,
    MigrationRecord,
    SaveRecord,
    StepRecord,
    dump,
)

#: A busy guest's watchdog must not fill the disk: the newest this many a domain are kept.
KEPT_EXPIRIES = 1000
KEPT_HISTORY = 1000


@functools.singledispatch
def put(entry: Entry, connection: sqlite3.Connection) -> None:
    """Write one record into its table."""
    raise TypeError(type(entry).__name__)


@put.register
def _domain(entry: DomainRecord, connection: sqlite3.Connection) -> None:
    # An epoch only grows: what a late writer believes never undoes what is known.
    connection.execute(
        "INSERT INTO domains VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE"
        " SET epoch = excluded.epoch, record = excluded.record WHERE excluded.epoch >= epoch",
        (entry.name, entry.epoch, dump(entry)),
    )


@put.register
def _migration(entry: MigrationRecord, connection: sqlite3.Connection) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO migrations VALUES (?, ?, ?, ?)",
        (entry.id, entry.domain, entry.done, dump(entry)),
    )


@put.register
def _fact(entry: FactRecord, connection: sqlite3.Connection) -> None:
    connection.execute(
        "INSERT OR IGNORE INTO facts VALUES (?, ?, ?)", (entry.migration, entry.fact, dump(entry))
    )


@put.register
def _step(entry: StepRecord, connection: sqlite3.Connection) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO steps VALUES (?, ?, ?)",
        (entry.migration, entry.device, dump(entry)),
    )


@put.register
def _job(entry: JobRecord, connection: sqlite3.Connection) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO jobs VALUES (?, ?, ?, ?)",
        (entry.migration, entry.hook, entry.device, dump(entry)),
    )


@put.register
def _save(entry: SaveRecord, connection: sqlite3.Connection) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO saves VALUES (?, ?, ?)", (entry.nonce, entry.domain, dump(entry))
    )


@put.register
def _history(entry: HistoryRecord, connection: sqlite3.Connection) -> None:
    connection.execute(
        "INSERT INTO history (domain, record) VALUES (?, ?)", (entry.domain, dump(entry))
    )
    connection.execute(
        "DELETE FROM history WHERE domain = ? AND id <= (SELECT id FROM history WHERE domain = ?"
        " ORDER BY id DESC LIMIT 1 OFFSET ?)",
        (entry.domain, entry.domain, KEPT_HISTORY),
    )

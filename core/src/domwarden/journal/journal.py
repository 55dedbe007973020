"""The journal as the event loop uses it: every call runs on the journal's own thread."""

from __future__ import annotations

import asyncio
import concurrent.futures
import json
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from domwarden.contract import BrokenError, Expiry
from domwarden.journal.records import (
    RECORD_VERSION,
    DecisionRecord,
    DomainRecord,
    Entry,
    FactRecord,
    HistoryRecord,
    JobRecord,
    MigrationRecord,
    RecordT,
    SaveRecord,
    StepRecord,
    load,
)
from domwarden.journal.store import CommitUnknownError, Connect, Store, connect
from domwarden.journal.tables import KEPT_EXPIRIES, put
from domwarden.plan import Decision, Desired, Fact

ResultT = TypeVar("ResultT")

#: Longer than SQLite waits for another process; a disk that hangs must not hang the loop's callers.
OPERATION_SECONDS = 60.0


class Journal:
    """The durable records of one host; an async context manager.

    Every method raises BrokenError when the journal cannot be used: unknown, never empty.
    """

    def __init__(
        self,
        directory: Path,
        *,
        clock: Callable[[], float] = time.time,
        connect: Connect = connect,
    ) -> None:
        self._store = Store(directory, connect)
        self._clock = clock
        # SQLite connections belong to one thread; its queue keeps the order of the calls.
        self._thread = concurrent.futures.ThreadPoolExecutor(1, f"journal {directory.name}")

    async def __aenter__(self) -> Journal:
        await self._run(self._store.open)
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the file and end the thread; idempotent."""
        try:
            await self._run(self._store.close)
        except RuntimeError:  # the thread was ended before
            return
        self._thread.shutdown(wait=False)

    async def _run(self, work: Callable[[], ResultT]) -> ResultT:
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(self._thread, work)
        try:
            # Shielded: a cancelled caller must not make a queued write vanish half-known. Not
            # wait_for: Python 3.11's drops a cancellation that meets the result.
            async with asyncio.timeout(OPERATION_SECONDS):
                return await asyncio.shield(future)
        except TimeoutError:
            raise BrokenError(
                f"{self._store.path} did not answer in {OPERATION_SECONDS:g} s"
            ) from None

    async def write(self, *entries: Entry) -> None:
        """Make all the records durable, or none, in one transaction.

        Every record may be written twice, so a commit of unknown outcome is simply repeated.
        """
        if not entries:
            return

        def work() -> None:
            def transaction(connection: sqlite3.Connection) -> None:
                for entry in entries:
                    put(entry, connection)

            try:
                self._store.write(transaction)
            except CommitUnknownError:
                try:
                    self._store.write(transaction)
                except CommitUnknownError as error:
                    raise BrokenError(f"{self._store.path} cannot commit: {error}") from error

        await self._run(work)

    async def decide(self, migration: str, wanted: Decision, *entries: Entry) -> Decision:
        """Commit the one row that releases or aborts a move; return what is durable.

        The first decision stands. If its commit fails the outcome is unknown: the journal is
        reopened and read again, and where nothing is there an abort is committed instead. The other
        entries are written only together with ``wanted``.
        """
        return await self._run(lambda: self._decide(migration, wanted, entries))

    def _decide(self, migration: str, wanted: Decision, entries: Iterable[Entry]) -> Decision:
        at = self._clock()

        def commit(decision: Decision, more: Iterable[Entry]) -> None:
            def transaction(connection: sqlite3.Connection) -> None:
                cursor = connection.execute(
                    "INSERT OR IGNORE INTO decisions VALUES (?, ?, ?)", (migration, decision, at)
                )
                if cursor.rowcount == 1:
                    for entry in more:
                        put(entry, connection)

            self._store.write(transaction)

        try:
            commit(wanted, entries)
        except CommitUnknownError:
            if self._decision(migration) is Decision.UNDECIDED:
                try:
                    commit(Decision.ABORTED, entries if wanted is Decision.ABORTED else ())
                except CommitUnknownError as error:
                    raise BrokenError(f"{self._store.path} cannot commit: {error}") from error
        return self._decision(migration)

    async def decision(self, migration: str) -> Decision:
        """Return the durable decision about a move."""
        return await self._run(lambda: self._decision(migration))

    def _decision(self, migration: str) -> Decision:
        query = "SELECT decision FROM decisions WHERE migration = ?"
        with self._store.reading() as connection:
            row = connection.execute(query, (migration,)).fetchone()
        if row is None:
            return Decision.UNDECIDED
        try:
            return Decision(row[0])
        except ValueError:
            return Decision.UNKNOWN

    async def decided(self, migration: str) -> DecisionRecord | None:
        """Return the durable decision about a move with its time, or None where there is none."""

        def work() -> tuple[str, str, float] | None:
            with self._store.reading() as connection:
                query = "SELECT migration, decision, at FROM decisions WHERE migration = ?"
                found: tuple[str, str, float] | None = connection.execute(
                    query, (migration,)
                ).fetchone()
            return found

        row = await self._run(work)
        if row is None:
            return None
        known = {decision.value for decision in Decision}
        decision = Decision(row[1]) if row[1] in known else Decision.UNKNOWN
        return DecisionRecord(row[0], decision, float(row[2]))

    async def _load(self, cls: type[RecordT], query: str, *values: object) -> list[RecordT]:
        def work() -> list[str]:
            with self._store.reading() as connection:
                return [str(row[0]) for row in connection.execute(query, values)]

        return [load(cls, text) for text in await self._run(work)]

    async def domain(self, name: str) -> DomainRecord | None:
        """Return what is known of a domain, or None where it never was here."""
        found = await self._load(DomainRecord, "SELECT record FROM domains WHERE name = ?", name)
        return found[0] if found else None

    async def domains(self) -> list[DomainRecord]:
        """Return every domain that was ever here, by name."""
        return await self._load(DomainRecord, "SELECT record FROM domains ORDER BY name")

    async def desired(self) -> Counter[Desired]:
        """Count the domains that were ever here by what they should be."""

        def work() -> list[tuple[str, int]]:
            with self._store.reading() as connection:
                query = "SELECT json_extract(record, '$.desired'), count(*) FROM domains GROUP BY 1"
                return list(connection.execute(query))

        known = {desired.value for desired in Desired}
        found: Counter[Desired] = Counter()
        for desired, count in await self._run(work):
            found[Desired(desired) if desired in known else Desired.UNKNOWN] += count
        return found

    async def migration(self, migration: str) -> MigrationRecord | None:
        """Return this end of a move, or None where it is not known."""
        found = await self._load(
            MigrationRecord, "SELECT record FROM migrations WHERE id = ?", migration
        )
        return found[0] if found else None

    async def unfinished(self, domain: str | None = None) -> list[MigrationRecord]:
        """Return the moves that are not done, oldest first: of one domain, or all."""
        query = (
            "SELECT record FROM migrations WHERE done = 0 AND (?1 IS NULL OR domain = ?1)"
            " ORDER BY rowid"
        )
        return await self._load(MigrationRecord, query, domain)

    async def facts(self, migration: str) -> dict[Fact, Mapping[str, Any]]:
        """Return what is durable about this end of a move."""
        found = await self._load(
            FactRecord, "SELECT record FROM facts WHERE migration = ? ORDER BY rowid", migration
        )
        return {record.fact: record.data for record in found}

    async def steps(self, migration: str) -> list[StepRecord]:
        """Return each device's part in a move, in file order."""
        found = await self._load(
            StepRecord, "SELECT record FROM steps WHERE migration = ?", migration
        )
        return sorted(found, key=lambda record: record.position)

    async def jobs(self, migration: str) -> list[JobRecord]:
        """Return the devices' other jobs in a move, in no order."""
        return await self._load(JobRecord, "SELECT record FROM jobs WHERE migration = ?", migration)

    async def saved(self, nonce: str) -> SaveRecord | None:
        """Return the save of that nonce, or None where this host did not make or restore it."""
        found = await self._load(SaveRecord, "SELECT record FROM saves WHERE nonce = ?", nonce)
        return found[0] if found else None

    async def history(self, domain: str) -> list[HistoryRecord]:
        """Return what happened to a domain, oldest first."""
        query = "SELECT record FROM history WHERE domain = ? ORDER BY id"
        return await self._load(HistoryRecord, query, domain)

    async def record_expiry(self, expiry: Expiry) -> None:
        """Keep one firing of a watchdog."""
        text = json.dumps({"version": RECORD_VERSION, **expiry.as_json()})

        def transaction(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT INTO expiries (domain, record) VALUES (?, ?)", (expiry.domain, text)
            )
            connection.execute(
                "DELETE FROM expiries WHERE domain = ? AND id <= (SELECT id FROM expiries"
                " WHERE domain = ? ORDER BY id DESC LIMIT 1 OFFSET ?)",
                (expiry.domain, expiry.domain, KEPT_EXPIRIES),
            )

        def work() -> None:
            try:
                self._store.write(transaction)
            except CommitUnknownError as error:
                raise BrokenError(f"{self._store.path} cannot commit: {error}") from error

        await self._run(work)

    async def newest_expiry(self) -> int:
        """Return the number of the newest firing that was recorded, 0 where there is none."""

        def work() -> int:
            with self._store.reading() as connection:
                (newest,) = connection.execute("SELECT max(id) FROM expiries").fetchone()
            return newest or 0

        return await self._run(work)

    async def expiries_after(self, number: int, most: int) -> list[tuple[int, Expiry]]:
        """Return at most so many firings of all watchdogs with a higher number, each with its own.

        Numbers grow with time and are never used again: the newest firing is always kept.
        """

        def work() -> list[tuple[int, str]]:
            with self._store.reading() as connection:
                query = "SELECT id, record FROM expiries WHERE id > ? ORDER BY id LIMIT ?"
                return list(connection.execute(query, (number, most)))

        rows = await self._run(work)
        return [(found, Expiry.from_json(json.loads(text))) for found, text in rows]

    async def expiries(self, domain: str) -> list[Expiry]:
        """Return the firings of a domain's watchdog, oldest first."""

        def work() -> list[str]:
            with self._store.reading() as connection:
                query = "SELECT record FROM expiries WHERE domain = ? ORDER BY id"
                return [str(row[0]) for row in connection.execute(query, (domain,))]

        return [Expiry.from_json(json.loads(text)) for text in await self._run(work)]

    async def reserve(self) -> None:
        """Keep space back for a move's last records; raises BrokenError when the disk has none."""

        def work() -> None:
            try:
                self._store.reserve.take()
                self._store.prepare_log()
            except OSError as error:
                raise BrokenError(
                    f"no space can be kept back beside {self._store.path}: {error.strerror}"
                ) from error
            except CommitUnknownError as error:
                raise BrokenError(f"{self._store.path} cannot commit: {error}") from error

        await self._run(work)

    async def give_back_unneeded(self) -> None:
        """Let the reserved space go unless another move may still need it; idempotent."""
        if not await self.unfinished():
            await self._run(self._store.reserve.give_back)

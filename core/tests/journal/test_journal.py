"""What is written is durable and read again; what cannot be read is unknown, never empty."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domwarden.contract import (
    Action,
    BrokenError,
    Definition,
    End,
    Expiry,
    Movement,
    Step,
)
from domwarden.journal import (
    DecisionRecord,
    DomainRecord,
    FactRecord,
    HistoryKind,
    HistoryRecord,
    Hook,
    JobRecord,
    Journal,
    MigrationRecord,
    SaveRecord,
    StepRecord,
    StepState,
)
from domwarden.journal.records import dump, load
from domwarden.journal.store import connect
from domwarden.plan import Decision, Desired, Fact

LIVE = Definition(name="web1", uuid="u", engine="toy", memory_bytes=4, live={"machine": "toy-1"})
MOVE = MigrationRecord(
    id="m1",
    domain="web1",
    role=End.SOURCE,
    movement=Movement.MIGRATE,
    peer="b",
    epoch=3,
    running=True,
    definition=LIVE,
)


async def test_records_outlive_the_journal_object(tmp_path: Path) -> None:
    """Each kind comes back as it was written."""
    part = StepRecord("m1", "disk", 0, Step.START, StepState.BEGUN, {"a": [1]}, None)
    async with Journal(tmp_path) as journal:
        await journal.write(
            DomainRecord("web1", 3, Desired.RUNNING, LIVE),
            MOVE,
            part,
            JobRecord("m1", "disk", Hook.OPEN, StepState.BEGUN),
            JobRecord("m1", "disk", Hook.OPEN, StepState.DONE, {"made": "this"}),
            JobRecord("m1", "disk", Hook.CLOSE, StepState.BEGUN),
            FactRecord("m1", Fact.LISTENING, {"port": 1}),
            SaveRecord("n1", "web1", "/save", 3),
            HistoryRecord("web1", HistoryKind.STARTED, 1.5),
        )
    async with Journal(tmp_path) as journal:
        assert await journal.domain("web1") == DomainRecord("web1", 3, Desired.RUNNING, LIVE)
        assert await journal.migration("m1") == MOVE
        assert await journal.unfinished("web1") == [MOVE]
        assert await journal.steps("m1") == [part]
        assert {job.hook: job for job in await journal.jobs("m1")} == {
            Hook.OPEN: JobRecord("m1", "disk", Hook.OPEN, StepState.DONE, {"made": "this"}),
            Hook.CLOSE: JobRecord("m1", "disk", Hook.CLOSE, StepState.BEGUN),
        }
        assert await journal.jobs("m2") == []
        assert await journal.facts("m1") == {Fact.LISTENING: {"port": 1}}
        assert await journal.saved("n1") == SaveRecord("n1", "web1", "/save", 3)
        assert [h.kind for h in await journal.history("web1")] == [HistoryKind.STARTED]
        assert await journal.domain("other") is None


async def test_every_commit_is_synced(tmp_path: Path) -> None:
    """The log is written ahead and synced at each commit (SQLite's FULL is 2)."""
    async with Journal(tmp_path) as journal:
        connection = journal._store.connection
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)


async def test_the_first_decision_stands(tmp_path: Path) -> None:
    """Release and abort are one row; what goes with the loser is not written."""
    async with Journal(tmp_path) as journal, Journal(tmp_path) as other:
        assert await journal.decision("m1") is Decision.UNDECIDED
        assert await journal.decide("m1", Decision.ABORTED) is Decision.ABORTED
        saved = SaveRecord("n1", "web1", "/save", 3)
        assert await other.decide("m1", Decision.RELEASED, saved) is Decision.ABORTED
        assert await other.decision("m1") is Decision.ABORTED
        assert await other.saved("n1") is None


async def test_a_decision_is_read_with_its_time(tmp_path: Path) -> None:
    """And one of a later version's word is unknown, never none."""
    async with Journal(tmp_path, clock=lambda: 7.5) as journal:
        assert await journal.decided("m1") is None
        await journal.decide("m1", Decision.RELEASED)
        assert await journal.decided("m1") == DecisionRecord("m1", Decision.RELEASED, 7.5)
    with sqlite3.connect(tmp_path / "journal.sqlite") as connection:
        connection.execute("UPDATE decisions SET decision = 'postponed'")
    connection.close()
    async with Journal(tmp_path) as journal:
        assert await journal.decided("m1") == DecisionRecord("m1", Decision.UNKNOWN, 7.5)


async def test_an_epoch_only_grows(tmp_path: Path) -> None:
    """A late writer does not undo what is known."""
    async with Journal(tmp_path) as journal:
        await journal.write(DomainRecord("web1", 5, Desired.RUNNING))
        await journal.write(DomainRecord("web1", 4, Desired.STOPPED))
        assert await journal.domain("web1") == DomainRecord("web1", 5, Desired.RUNNING)


async def test_the_first_record_of_a_fact_stands(tmp_path: Path) -> None:
    """A repeated message changes nothing."""
    async with Journal(tmp_path) as journal:
        await journal.write(FactRecord("m1", Fact.LISTENING, {"port": 1}))
        await journal.write(FactRecord("m1", Fact.LISTENING, {"port": 2}))
        assert await journal.facts("m1") == {Fact.LISTENING: {"port": 1}}


async def test_a_transaction_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    """One entry that cannot be written takes the others with it."""
    async with Journal(tmp_path) as journal:
        with pytest.raises(TypeError):
            await journal.write(DomainRecord("web1", 1, Desired.RUNNING), "nonsense")  # type: ignore[arg-type]  # on purpose
        assert await journal.domains() == []


async def test_expiries_are_kept_in_order_and_not_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest ones stay."""
    monkeypatch.setattr("domwarden.journal.journal.KEPT_EXPIRIES", 3)
    async with Journal(tmp_path) as journal:
        for at in range(5):
            await journal.record_expiry(Expiry("web1", "toy", Action.RESET, float(at)))
        await journal.record_expiry(Expiry("web2", "toy", Action.PAUSE, 9.0, "detail"))
        assert [expiry.at for expiry in await journal.expiries("web1")] == [2.0, 3.0, 4.0]
        assert await journal.expiries("web2") == [
            Expiry("web2", "toy", Action.PAUSE, 9.0, "detail")
        ]


async def test_expiries_of_all_domains_are_read_on_from_a_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is read once, in order, whatever is forgotten meanwhile."""
    monkeypatch.setattr("domwarden.journal.journal.KEPT_EXPIRIES", 1)
    async with Journal(tmp_path) as journal:
        assert await journal.newest_expiry() == 0
        for name in ("web1", "web2", "web1"):
            await journal.record_expiry(Expiry(name, "toy", Action.RESET, 1.0))
        found = await journal.expiries_after(0, 10)
        assert [(number, expiry.domain) for number, expiry in found] == [(2, "web2"), (3, "web1")]
        assert await journal.newest_expiry() == 3
        assert [number for number, _ in await journal.expiries_after(2, 10)] == [3]
        assert len(await journal.expiries_after(0, 1)) == 1
        assert await journal.expiries_after(3, 10) == []


class Unreliable(sqlite3.Connection):
    """A connection whose commits fail when a test says so."""

    fail: Callable[[], str] = staticmethod(lambda: "")

    def execute(self, sql: str, *parameters: object) -> sqlite3.Cursor:  # type: ignore[override]  # sqlite3's stub has defaults
        wanted = type(self).fail() if sql == "COMMIT" else ""
        if wanted == "lost":
            super().execute("ROLLBACK")
            raise sqlite3.OperationalError("disk I/O error")
        cursor = super().execute(sql, *parameters)
        if wanted == "done":
            raise sqlite3.OperationalError("disk I/O error")
        return cursor


def unreliable(commits: list[str]) -> Callable[[Path], sqlite3.Connection]:
    """Return what opens a journal whose commits fail as listed: "lost" or "done", "" is well."""

    class Connection(Unreliable):
        fail = staticmethod(lambda: commits.pop(0) if commits else "")

    return lambda path: sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, factory=Connection
    )


@pytest.mark.parametrize(
    ("commits", "decision"),
    [
        (["done"], Decision.RELEASED),
        (["lost"], Decision.ABORTED),
        (["lost", "done"], None),
        (["lost", "lost"], None),
    ],
)
async def test_a_failed_commit_of_the_release_is_read_again(
    tmp_path: Path, commits: list[str], decision: Decision | None
) -> None:
    """Unknown is neither yes nor no: what is there stands, and what is not becomes an abort."""
    async with Journal(tmp_path):
        pass
    async with Journal(tmp_path, connect=unreliable(["", *commits])) as journal:
        if decision is None:
            with pytest.raises(BrokenError):
                await journal.decide("m1", Decision.RELEASED)
        else:
            assert await journal.decide("m1", Decision.RELEASED) is decision
    async with Journal(tmp_path) as journal:
        assert await journal.decision("m1") is not Decision.RELEASED or commits == ["done"]


async def test_an_abort_that_is_committed_again_takes_its_records_along(tmp_path: Path) -> None:
    """Only what goes with a release that failed is not written."""
    async with Journal(tmp_path):
        pass
    job = JobRecord("m1", "disk", Hook.RECOVER, StepState.BEGUN)
    for wanted in (Decision.RELEASED, Decision.ABORTED):
        async with Journal(tmp_path, connect=unreliable(["", "lost"])) as journal:
            assert await journal.decide(f"{wanted}", wanted, job) is Decision.ABORTED
            assert await journal.jobs("m1") == ([job] if wanted is Decision.ABORTED else [])


@pytest.mark.parametrize("outcome", ["done", "lost"])
async def test_a_failed_commit_of_records_is_repeated(tmp_path: Path, outcome: str) -> None:
    """Every record may be written twice."""
    async with Journal(tmp_path, connect=unreliable(["", outcome])) as journal:
        await journal.write(DomainRecord("web1", 1, Desired.RUNNING))
        assert len(await journal.domains()) == 1


async def test_a_full_disk_takes_the_reserved_space_first(tmp_path: Path) -> None:
    """A move past its PREPARE can still write down its end."""
    async with Journal(tmp_path) as journal:
        await journal.reserve()
        reserve = tmp_path / "journal.reserve"
        assert reserve.stat().st_size >= 1024 * 1024
        # The log is long already: a commit of the blackout does not make it longer.
        assert (tmp_path / "journal.sqlite-wal").stat().st_size >= 256 * 1024
        connection = journal._store.connection
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count={pages}")
        big = DomainRecord("web1", 1, Desired.RUNNING, moved_to="x" * 600_000)
        with pytest.raises(BrokenError, match="full"):
            # SQLite's own limit is not moved by what the file system got back.
            await journal.write(big)
        assert not reserve.exists()
        connection.execute("PRAGMA max_page_count=1000000")
        await journal.write(big)
        assert await journal.domain("web1") == big


async def test_the_reserve_stays_while_any_move_may_need_it(tmp_path: Path) -> None:
    """The first move that ends does not take it from the second."""
    async with Journal(tmp_path) as journal:
        await journal.write(MOVE)
        await journal.reserve()
        await journal.give_back_unneeded()
        assert (tmp_path / "journal.reserve").exists()


async def test_a_lost_journal_is_unknown_not_empty(tmp_path: Path) -> None:
    """A host that had a journal does not begin a new one."""
    async with Journal(tmp_path) as journal:
        await journal.write(DomainRecord("web1", 7, Desired.RUNNING))
    (tmp_path / "journal.sqlite").unlink()
    with pytest.raises(BrokenError, match="is gone"):
        await Journal(tmp_path).__aenter__()


async def test_a_foreign_journal_is_refused(tmp_path: Path) -> None:
    """One put in its place by hand does not say what happened on this host."""
    for name in ("one", "two"):
        async with Journal(tmp_path / name):
            pass
    (tmp_path / "one" / "journal.sqlite").rename(tmp_path / "two" / "journal.sqlite")
    with pytest.raises(BrokenError, match="not the journal"):
        await Journal(tmp_path / "two").__aenter__()


async def test_a_corrupt_journal_is_broken(tmp_path: Path) -> None:
    """Not one query of it is believed."""
    async with Journal(tmp_path) as journal:
        await journal.write(DomainRecord("web1", 7, Desired.RUNNING))
    (tmp_path / "journal.sqlite").write_bytes(b"rubbish" * 1000)
    with pytest.raises(BrokenError):
        await Journal(tmp_path).__aenter__()


async def test_a_journal_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    """An older domwarden does not guess."""
    async with Journal(tmp_path):
        pass
    connection = connect(tmp_path / "journal.sqlite")
    connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(BrokenError, match="version 99"):
        await Journal(tmp_path).__aenter__()


#: What version 1 wrote of a move that was being given up when its process died.
VERSION_1 = (
    "CREATE TABLE identity (journal TEXT NOT NULL)",
    "CREATE TABLE domains (name TEXT PRIMARY KEY, epoch INTEGER NOT NULL, record TEXT NOT NULL)",
    "CREATE TABLE migrations (id TEXT PRIMARY KEY, domain TEXT NOT NULL, done INTEGER NOT NULL,"
    " record TEXT NOT NULL)",
    "CREATE TABLE decisions (migration TEXT PRIMARY KEY, decision TEXT NOT NULL, at REAL NOT NULL)",
    "CREATE TABLE facts (migration TEXT NOT NULL, fact TEXT NOT NULL, record TEXT NOT NULL,"
    " PRIMARY KEY (migration, fact))",
    "CREATE TABLE steps (migration TEXT NOT NULL, device TEXT NOT NULL, record TEXT NOT NULL,"
    " PRIMARY KEY (migration, device))",
    "INSERT INTO identity VALUES ('of-a-host')",
    """INSERT INTO facts VALUES ('m1', 'gave-up',
       '{"data":{},"fact":"gave-up","migration":"m1","version":1}')""",
    """INSERT INTO steps VALUES ('m1', 'net', '{"device":"net","given":{"a":[1]},"migration":"m1",
       "position":1,"state":"recovered","step":2,"ticket":null,"version":1}')""",
    """INSERT INTO steps VALUES ('m1', 'disk', '{"device":"disk","given":null,"migration":"m1",
       "position":0,"state":"begun","step":2,"ticket":null,"version":1}')""",
    "PRAGMA user_version=1",
)


async def test_a_journal_of_version_1_is_read_on(tmp_path: Path) -> None:
    """A move that the older one left is recovered: what it had recovered is not so again."""
    connection = connect(tmp_path / "journal.sqlite")
    for statement in VERSION_1:
        connection.execute(statement)
    connection.close()
    (tmp_path / "journal.id").write_text("of-a-host\n")
    async with Journal(tmp_path) as journal:
        assert await journal.facts("m1") == {Fact.GAVE_UP: {}}
        disk, net = await journal.steps("m1")
        assert (disk.device, disk.state, disk.step) == ("disk", StepState.BEGUN, Step.START)
        assert (net.device, net.step, net.given) == ("net", Step.START, {"a": [1]})
        assert await journal.jobs("m1") == [JobRecord("m1", "net", Hook.RECOVER, StepState.DONE)]
    async with Journal(tmp_path) as journal:  # and only once
        assert len(await journal.jobs("m1")) == 1


@given(text=st.text() | st.sampled_from(["{}", "[]", "null", '{"version":1}', '{"version":2}']))
def test_a_record_that_cannot_be_read_is_broken(text: str) -> None:
    """Whatever stands there, it is not guessed at."""
    with pytest.raises(BrokenError):
        load(DomainRecord, text)


@given(
    st.builds(
        StepRecord,
        st.text(),
        st.text(),
        st.integers(0, 100),
        st.sampled_from(Step),
        st.sampled_from(StepState),
        st.none() | st.dictionaries(st.text(), st.integers() | st.text()),
        st.none() | st.dictionaries(st.text(), st.booleans()),
    )
)
def test_a_record_survives_its_text(record: StepRecord) -> None:
    """What is dumped is what is loaded."""
    assert load(StepRecord, dump(record)) == record


async def test_two_processes_share_a_journal(tmp_path: Path) -> None:
    """Writers wait for each other."""
    async with Journal(tmp_path) as one, Journal(tmp_path) as two:
        await asyncio.gather(
            *(
                journal.write(DomainRecord(f"{name}{n}", 1, Desired.RUNNING))
                for name, journal in (("x", one), ("y", two))
                for n in range(20)
            )
        )
        assert len(await one.domains()) == 40


async def test_domains_are_counted_by_what_they_should_be(tmp_path: Path) -> None:
    """What a newer version wanted of one is unknown to this one, and counted all the same."""
    async with Journal(tmp_path) as journal:
        assert await journal.desired() == {}
        for name, desired in (("web1", Desired.RUNNING), ("web2", Desired.RUNNING)):
            await journal.write(DomainRecord(name, 1, desired))
        await journal.write(DomainRecord("web3", 1, Desired.MOVED))
        with sqlite3.connect(tmp_path / "journal.sqlite") as connection:
            newer = """{"desired": "cloned"}"""
            connection.execute("INSERT INTO domains VALUES ('web4', 1, ?)", (newer,))
        expected = {Desired.RUNNING: 2, Desired.MOVED: 1, Desired.UNKNOWN: 1}
        assert await journal.desired() == expected

"""What ten thousand seeded histories brought to light, each as short as it can be told."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from domwarden.contract import BrokenError
from domwarden.journal import Entry, Journal, MigrationRecord
from domwarden.migration import Outcome
from domwarden.warden.lifecycle import start

from .helpers import Overheard, faulty, move, recover, running_domain
from .test_crashes import check_whole, killed
from .world import Killed, World


async def test_a_settling_that_its_journal_failed_is_told_from_one_for_a_person(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is tried again, and the domain comes back."""
    world = World(tmp_path)
    await running_domain(world)

    def die() -> None:
        raise Killed("source engine suspend")

    world.on_point = {"source engine suspend after": die}
    assert await killed(world, None)
    write = Journal.write

    async def full(self: Journal, *entries: Entry) -> None:
        raise BrokenError("the disk is full")

    monkeypatch.setattr(Journal, "write", full)
    (settled,) = await recover(world, "a")
    assert (settled.outcome, settled.failed) == (Outcome.BROKEN, True)
    monkeypatch.setattr(Journal, "write", write)
    (settled,) = await recover(world, "a")
    assert (settled.outcome, settled.failed) == (Outcome.RESUMED, False)
    await check_whole(world)


async def test_an_abort_brings_the_record_of_a_move_whose_beginning_was_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other end, which gave up, asks this one about it."""
    world = World(tmp_path)
    await running_domain(world)
    write = Journal.write
    failures = [True]

    async def failing_once(self: Journal, *entries: Entry) -> None:
        if failures and any(isinstance(entry, MigrationRecord) for entry in entries):
            failures.clear()
            raise BrokenError("the commit failed")
        await write(self, *entries)

    def die() -> None:
        raise Killed("source journal aborted")

    monkeypatch.setattr(Journal, "write", failing_once)
    world.on_point = {"source journal aborted after": die}
    assert await killed(world, None)
    assert not failures
    with sqlite3.connect(tmp_path / "a" / "journal.sqlite") as connection:
        decided = connection.execute("SELECT migration, decision FROM decisions").fetchall()
        known = connection.execute("SELECT id FROM migrations").fetchall()
    assert [decision for _, decision in decided] == ["aborted"]
    assert known == [(migration,) for migration, _ in decided]
    await recover(world, "ab")
    await check_whole(world)


async def test_an_end_that_was_closed_by_who_did_not_know_it_finished_comes_to_rest(
    tmp_path: Path,
) -> None:
    """Its finish was in the memory of a process that is gone, and is written down the next time."""
    world = World(tmp_path)
    await running_domain(world)
    overheard = Overheard()
    world.wrap_link = overheard

    async def forget() -> None:
        overheard.link.forget(overheard.messages[-1].migration)

    def die() -> None:
        raise Killed("source journal done")

    overheard.before["close"] = forget
    world.on_point = {"source journal done before": die}
    assert await killed(world, None)
    assert not overheard.before
    settled = await recover(world, "a")
    assert [one.outcome for one in settled] == [Outcome.ARRIVED]
    await check_whole(world)


@pytest.mark.parametrize(
    ("point", "outcome", "where"),
    [
        ("destination journal opened after", Outcome.GIVEN_UP, {}),
        ("destination journal granted after", Outcome.ARRIVED, {"b": "running"}),
        ("destination journal ran after", Outcome.ARRIVED, {"b": "running"}),
        ("destination journal ready after", Outcome.BROKEN, {"b": "received"}),
    ],
)
async def test_a_destination_whose_source_lost_its_journal_does_what_it_may_alone(
    tmp_path: Path, point: str, outcome: Outcome, where: dict[str, str]
) -> None:
    """Only a whole copy that was not granted waits for a person, who must find out who owns it."""
    world = World(tmp_path)
    await running_domain(world)

    def die() -> None:
        raise Killed(point)

    world.on_point = {point: die}
    assert await killed(world, None)
    await world.engine("a").stop("web1")
    shutil.rmtree(tmp_path / "a")
    (settled,) = await recover(world, "b")
    assert settled.outcome is outcome
    assert {host: state for host, state in world.states().items() if state != "absent"} == where
    left = await recover(world, "b")
    assert [one.outcome for one in left] == [outcome] * (outcome is Outcome.BROKEN)


async def died_as_its_move_began(world: World) -> None:
    """Have host a lose power, and with it its copy, when only its own journal knows of a move."""

    def die() -> None:
        raise Killed("source journal begin")

    world.on_point = {"source journal begin after": die}
    assert await killed(world, None)
    await world.engine("a").stop("web1")


async def test_a_domain_that_was_started_past_its_fenced_source_is_no_copy_of_its_move(
    tmp_path: Path,
) -> None:
    """The source comes back and ends its move; what runs at the destination is not touched."""
    world = World(tmp_path)
    await running_domain(world)
    await died_as_its_move_began(world)
    usual, world.wrap_link = world.wrap_link, faulty({"*": ["dead"]})  # it is off
    async with world.hub("b") as hub, hub.acting("web1"):
        await start(hub, world.definition(), paused=False, fenced={"a"})
    world.wrap_link = usual
    world.said.clear()
    (settled,) = await recover(world, "a")
    assert settled.outcome is Outcome.ENDED, settled
    assert world.states() == {"a": "absent", "b": "running"}
    assert not [said for said in world.said if said[0] == "b"]
    assert await recover(world, "ab") == []


async def test_a_running_copy_at_a_destination_that_gave_up_is_a_persons_without_a_newer_owner(
    tmp_path: Path,
) -> None:
    """Nothing in its journal says whose it is, so nothing ends it, and nothing passes it over."""
    world = World(tmp_path)
    await running_domain(world)
    await died_as_its_move_began(world)
    world.engine("b").write("web1", state="running", memory="somebody's")
    (settled,) = await recover(world, "a")
    assert (settled.outcome, settled.failed) == (Outcome.BROKEN, False)
    assert "without a grant" in settled.detail
    assert world.states() == {"a": "absent", "b": "running"}


async def test_a_move_that_a_late_message_began_anew_where_the_journal_was_lost_leaves_no_copy(
    tmp_path: Path,
) -> None:
    """The host lost its power and its journal; nothing there knows that the domain ran."""
    world = World(tmp_path)
    await running_domain(world)
    overheard = Overheard()
    world.wrap_link = overheard

    await move(world)
    (late,) = (message for message in overheard.messages if message.step == "open")
    await world.engine("b").stop("web1")
    shutil.rmtree(tmp_path / "b")
    async with world.hub("a") as hub:
        await (await hub.link("b")).send(late)
    assert world.states() == {"a": "absent", "b": "incoming"}
    await recover(world, "ab")
    assert world.states() == {"a": "absent", "b": "absent"}
    assert await recover(world, "ab") == []

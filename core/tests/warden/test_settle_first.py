"""Looks settle first what an earlier run left, or say why they cannot; a plan only says it."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from pathlib import Path

import pytest

from domwarden.contract import (
    EngineError,
    OutcomeUnknownError,
    PermanentError,
    RunState,
)
from domwarden.journal.holder import Holder, holder_of
from domwarden.migration import Moment, MoveFailedError, Outcome, What, outlook
from domwarden.plan import Action
from domwarden.warden import looks

from ..migration.helpers import faulty
from ..migration.world import Killed, World, cut_short
from .test_warden import warden


async def left_at(world: World, point: str, verb: str = "migrate") -> None:
    """Start a domain on a, and kill its move at a point."""

    def die() -> None:
        raise Killed

    async with warden(world) as here:
        await here.start(world.definition())
    world.on_point = {point: die}
    with cut_short():
        async with warden(world) as here:
            if verb == "save":
                await here.save("web1", world.directory / "saved")
            else:
                await here.migrate("web1", "b")
    assert not world.on_point
    world.points.clear()
    world.said.clear()


async def test_status_settles_what_was_left(tmp_path: Path) -> None:
    """The domain runs again when its status is told, which says what was settled."""
    world = World(tmp_path)
    await left_at(world, "source engine suspend after")
    heard: list[Moment] = []
    async with warden(world) as here:
        (status,) = await here.status("web1", observer=heard.append)
        assert (status.state, status.migration, status.broken) == (RunState.RUNNING, "", "")
        assert [one.outcome for one in status.settled] == [Outcome.RESUMED]
        assert [m.data["outcome"] for m in heard if m.what is What.SETTLED] == [Outcome.RESUMED]
        (again,) = await here.status()
    assert again.settled == ()
    assert world.states() == {"a": "running", "b": "absent"}


async def test_status_of_one_domain_leaves_others_alone(tmp_path: Path) -> None:
    """As every verb on a domain does."""
    world = World(tmp_path)
    await left_at(world, "source engine suspend after")
    async with warden(world) as here:
        assert await here.status("web2") == []
    assert world.states()["a"] == "suspended"


async def test_status_only_looks_while_another_process_acts(tmp_path: Path) -> None:
    """And says so: neither hypervisor nor journal nor any device hears of it."""
    world = World(tmp_path)
    await left_at(world, "source engine suspend after")
    async with warden(world) as here, warden(world) as other:
        with other._hub.lock("web1"):
            (status,) = await here.status()
        assert status.state is RunState.SUSPENDED
        assert status.migration != ""
        assert [one.outcome for one in status.settled] == [Outcome.WAITING]
        assert status.settled[0].detail == "another process acts on domain web1"
        assert (status.owner, status.operations[0].waits_for) == ("a", status.settled[0].detail)
        assert not any("journal" in point or "engine" in point for point in world.points)
        assert world.said == []
        assert status.as_json()["settled"][0]["outcome"] == "waiting"


async def test_a_move_that_ends_while_it_is_looked_at_waits_for_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was not done when the journal was read, and nobody holds its domain a moment later."""
    world = World(tmp_path)
    await left_at(world, "source engine suspend after")
    loop = asyncio.get_running_loop()
    async with warden(world) as here, warden(world) as other:

        def end_first(path: Path) -> Holder | None:
            monkeypatch.setattr(looks, "holder_of", holder_of)
            asyncio.run_coroutine_threadsafe(other.recover(), loop).result(60)
            return holder_of(path)

        monkeypatch.setattr(looks, "holder_of", end_first)
        (move,) = await here.looks.unfinished()
    assert (move.state, move.outcome) == (looks.MoveState.FAILED, Outcome.RESUMED)


async def test_status_shows_what_it_cannot_settle_as_it_is(tmp_path: Path) -> None:
    """A released domain whose destination is silent waits; the status is told all the same."""
    world = World(tmp_path)
    dead = {"grant": ["dead"], "look": ["dead"]}
    world.wrap_link = faulty(dead)
    async with warden(world) as here:
        await here.start(world.definition())
        with pytest.raises(MoveFailedError):
            await here.migrate("web1", "b")
        (status,) = await here.status()
        assert status.state is RunState.DEPARTED
        assert status.settled[0].outcome is Outcome.WAITING
        assert "does not answer" in status.settled[0].detail
        (move,) = status.operations
        assert (status.owner, move.peer, move.end) == ("b", "b", "source")
        assert move.waits_for.startswith("waits for b to say whether it runs web1")
        assert move.waits_for.endswith("domwarden reclaim web1 --fenced b")
        assert status.broken == ""
        dead.clear()
        (status,) = await here.status()
    assert [one.outcome for one in status.settled] == [Outcome.ARRIVED]
    assert (status.state, status.moved_to) == (RunState.ABSENT, "b")
    assert (status.owner, status.operations) == ("b", ())
    assert world.running() == ["b"]


async def test_status_of_a_broken_domain_says_what_a_person_must_decide(tmp_path: Path) -> None:
    """Each time, and nothing is touched."""
    world = World(tmp_path)

    def die() -> None:
        world.engine("b").write("web1", state="ended")
        raise OutcomeUnknownError("gone")

    world.on_point = {"destination engine activate after": die}
    async with warden(world) as here:
        await here.start(world.definition())
        with pytest.raises(MoveFailedError):
            await here.migrate("web1", "b")
        for _ in range(2):
            (status,) = await here.status()
            assert "may have run" in status.broken
            assert status.migration == status.settled[0].migration
    assert world.states() == {"a": "departed", "b": "ended"}


async def test_status_at_a_destination_has_the_source_settle(tmp_path: Path) -> None:
    """Either host may be looked at first."""
    world = World(tmp_path)
    await left_at(world, "destination engine activate after")
    async with warden(world, "b") as there:
        (status,) = await there.status()
    assert status.state is RunState.RUNNING
    assert [one.outcome for one in status.settled] == [Outcome.ARRIVED]
    assert world.states() == {"a": "absent", "b": "running"}


def journals(world: World) -> list[str]:
    """Return all that both hosts' journals say."""
    said: list[str] = []
    for host in world.hosts.values():
        file = host.state_directory / "journal.sqlite"
        with contextlib.closing(sqlite3.connect(file)) as connection:
            said += connection.iterdump()
    return said


@pytest.mark.parametrize(
    ("point", "state", "action"),
    [
        ("source engine suspend after", RunState.SUSPENDED, Action.ABORT),
        ("source engine complete after", RunState.DEPARTED, Action.ABORT),
        ("source journal released before", RunState.DEPARTED, Action.RELEASE),
        ("source journal released after", RunState.DEPARTED, Action.GRANT),
        ("destination journal granted after", RunState.DEPARTED, Action.ACTIVATE),
        ("destination journal ran after", RunState.DEPARTED, Action.FINISH),
        ("source journal done before", RunState.ABSENT, Action.STOP),
    ],
)
async def test_a_plan_says_what_would_be_settled_first_and_settles_nothing(
    tmp_path: Path, point: str, state: RunState, action: Action
) -> None:
    """Beside that the domain does not run here: its own unfinished move, and what comes next."""
    world = World(tmp_path)
    await left_at(world, point)
    states = world.states()
    async with warden(world) as here, warden(world, "b"):
        before = journals(world)
        plan = await here.plan("web1", "b")
        assert journals(world) == before
        assert [r.code for r in plan.refusals] == ["not-running", "unfinished"]
        assert str(state) in plan.refusals[0].reason
        (one,) = plan.unfinished
        assert (one.action, one.peer, one.end) == (action, "b", "source")
        assert f"to b: {action}" in plan.refusals[1].reason
        assert "domwarden recover" in plan.refusals[1].remedy
        assert plan.as_json()["unfinished"][0]["action"] == action
        assert world.states() == states
        assert world.said == []
        # Nothing is kept from those who settle it.
        await here.recover()
    assert len(world.running()) == 1


async def test_a_plan_of_a_domain_that_came_back_names_what_is_left(tmp_path: Path) -> None:
    """It runs here, and its destination has not heard that the move is off."""
    world = World(tmp_path)
    dead: dict[str, list[str]] = {"start": ["dead"]}
    world.wrap_link = faulty(dead)
    world.on_point = {"link start before": lambda: None}
    async with warden(world) as here:
        await here.start(world.definition())
        dead["look"] = dead["give-up"] = ["dead"]
        with pytest.raises(MoveFailedError):
            await here.migrate("web1", "b")
        assert world.running() == ["a"]
        plan = await here.plan("web1", "b")
        assert [one.action for one in plan.unfinished] == [Action.WAIT]
        assert "has not heard" in plan.unfinished[0].why
        assert {(r.host, r.code) for r in plan.refusals} >= {("a", "unfinished")}
        dead.clear()
        (one,) = (await here.plan("web1", "b")).unfinished
        assert one.action is Action.GIVE_UP
        await here.migrate("web1", "b")


async def test_a_plan_while_another_process_acts_says_so(tmp_path: Path) -> None:
    """It does not guess what that process will do."""
    world = World(tmp_path)
    await left_at(world, "source engine suspend after")
    async with warden(world) as here, warden(world) as other:
        with other._hub.lock("web1"):
            plan = await here.plan("web1", "b")
    (one,) = plan.unfinished
    assert (one.action, one.why) == (Action.WAIT, "another process acts on domain web1")


async def test_a_plan_names_a_save_and_an_arrival_that_are_unfinished(tmp_path: Path) -> None:
    """Not only moves to another host are left, and not only by their source."""
    world = World(tmp_path / "save")
    await left_at(world, "source engine suspend after", "save")
    async with warden(world) as here:
        (one,) = (await here.plan("web1", "b")).unfinished
        assert (one.movement, one.action) == ("save", Action.ABORT)
        assert str(one).endswith(f"{world.directory / 'saved'}: abort ({one.why})")
    world = World(tmp_path / "arrival")
    await left_at(world, "source journal done before")
    async with warden(world, "b") as there:
        plan = await there.plan("web1", "a")
        assert plan.unfinished == ()
    world = World(tmp_path / "running")
    await left_at(world, "destination journal ran after")
    async with warden(world, "b") as there:
        (one,) = (await there.plan("web1", "a")).unfinished
        assert (one.end, one.action) == ("destination", Action.FINISH)
        assert "a, its source, is asked first" in one.why


async def test_a_plan_says_what_it_cannot_look_at(tmp_path: Path) -> None:
    """A hypervisor that does not answer is no reason to keep quiet about the move."""
    world = World(tmp_path)
    await left_at(world, "source engine suspend after")

    async def mute(_name: str) -> None:
        raise EngineError("the hypervisor is mute")

    async with warden(world) as here:
        engine = here._hub.site.engine("toy")
        engine.observe = mute  # type: ignore[method-assign, assignment]  # its wire, cut
        with contextlib.suppress(PermanentError, EngineError):
            await here.plan("web1", "b")
        (one,) = await outlook(here._hub, "web1")
        assert (one.action, one.why) == (Action.UNKNOWN, "the hypervisor is mute")
        assert one.stuck

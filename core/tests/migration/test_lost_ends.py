"""Ends and links that fail, die, fall silent or say things twice leave one running copy."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from domwarden.contract import (
    EngineError,
    OutcomeUnknownError,
    PermanentError,
)
from domwarden.migration import Message, MoveFailedError, Outcome
from domwarden.plan import Fact

from .helpers import MEMORY, Overheard, faulty, move, recover, running_domain
from .world import World


@pytest.mark.parametrize("command", ["precopy", "suspend", "complete"])
@pytest.mark.parametrize("when", ["before", "after"])
async def test_an_engine_that_fails_at_the_source_brings_the_domain_back(
    tmp_path: Path, command: str, when: str
) -> None:
    """Whether it acted before it failed or not."""
    world = World(tmp_path)
    await running_domain(world)
    getattr(world.faults, when)["a", command] = EngineError("no")
    with pytest.raises(MoveFailedError):
        await move(world)
    assert world.states() == {"a": "running", "b": "absent"}


@pytest.mark.parametrize("command", ["listen", "received"])
async def test_an_engine_that_fails_at_the_destination_brings_the_domain_back(
    tmp_path: Path, command: str
) -> None:
    """The destination's copy is destroyed before the source runs again."""
    world = World(tmp_path)
    await running_domain(world)
    world.faults.before["b", command] = EngineError("no")
    with pytest.raises(MoveFailedError):
        await move(world)
    assert world.states() == {"a": "running", "b": "absent"}


@pytest.mark.parametrize("failing", ["received", "listen"])
async def test_a_destination_that_gave_up_refuses_every_late_message(
    tmp_path: Path, failing: str
) -> None:
    """Before its end of the move is closed and after it, in another process too."""
    world = World(tmp_path)
    await running_domain(world)
    overheard = Overheard()
    world.wrap_link = overheard
    world.faults.before["b", failing] = EngineError("no")
    late: list[str] = []

    async def repeat(answer: Callable[[Message], Awaitable[object]]) -> None:
        for message in list(overheard.messages):
            if message.step in {"open", "prepare", "start", "sync", "grant"}:
                with pytest.raises(PermanentError, match="gave the move"):
                    await answer(message)
                late.append(message.step)
        assert not world.engine("b").file("web1").exists()

    overheard.before["recover-early"] = lambda: repeat(overheard.link.send)
    with pytest.raises(MoveFailedError):
        await move(world)
    before_close = len(late)
    assert before_close
    async with world.hub("b") as hub:
        await repeat(hub.receiver.answer)
    assert len(late) == 2 * before_close
    assert world.states() == {"a": "running", "b": "absent"}
    async with world.hub("b") as hub:
        assert Fact.GAVE_UP in await hub.site.journal.facts(overheard.messages[-1].migration)


async def test_a_copy_that_was_never_granted_is_not_let_run(tmp_path: Path) -> None:
    """Whatever a message asks for."""
    world = World(tmp_path)
    await running_domain(world)
    overheard = Overheard()
    world.wrap_link = overheard

    async def hasten() -> None:
        await overheard.link.send(dataclasses.replace(overheard.messages[-1], step="activate"))

    overheard.before["sync"] = hasten
    with pytest.raises(MoveFailedError, match="was not granted"):
        await move(world)
    assert world.states() == {"a": "running", "b": "absent"}


async def test_a_grant_whose_outcome_is_unknown_counts_as_ran(tmp_path: Path) -> None:
    """A resume command without an answer is asked again, and never gives the domain back."""
    world = World(tmp_path)
    await running_domain(world)
    world.faults.after["b", "activate"] = OutcomeUnknownError("no answer")
    moved = await move(world)
    assert world.states() == {"a": "absent", "b": "running"}
    assert "went on after" in moved.alarms[0]


async def test_a_granted_copy_that_died_unstarted_gives_the_domain_back(tmp_path: Path) -> None:
    """The engine refused to run it and it is seen dead: the source's copy runs again."""
    world = World(tmp_path)
    await running_domain(world)
    world.on_point = {
        "destination engine activate before": lambda: world.engine("b").write("web1", state="ended")
    }
    with pytest.raises(MoveFailedError) as caught:
        await move(world)
    assert caught.value.settled.outcome is Outcome.RESUMED
    assert world.states() == {"a": "running", "b": "absent"}
    async with world.hub("a") as a, world.hub("b") as b:
        own, other = await a.site.journal.domain("web1"), await b.site.journal.domain("web1")
        assert own is not None
        assert other is not None
        assert own.epoch > other.epoch > 1
    await move(world)
    assert world.running() == ["b"]


async def test_a_granted_copy_that_may_have_run_and_died_waits_for_a_person(
    tmp_path: Path,
) -> None:
    """The suspended copy is kept, and nothing runs twice or is thrown away."""
    world = World(tmp_path)
    await running_domain(world)

    def die() -> None:
        world.engine("b").write("web1", state="ended")
        raise OutcomeUnknownError("gone")

    world.on_point = {"destination engine activate after": die}
    with pytest.raises(MoveFailedError) as caught:
        await move(world)
    assert caught.value.settled.outcome is Outcome.BROKEN
    assert "may have run" in caught.value.settled.detail
    assert world.states() == {"a": "departed", "b": "ended"}
    assert world.memory("a") == MEMORY


async def test_a_copy_that_ran_unseen_and_died_is_never_given_back(tmp_path: Path) -> None:
    """Its first resume had no answer; that the second finds it dead does not prove anything."""
    world = World(tmp_path)
    await running_domain(world)
    world.faults.after["b", "activate"] = OutcomeUnknownError("no answer")
    before = "destination engine activate before"

    def again() -> None:
        world.on_point[before] = lambda: world.engine("b").write("web1", state="ended")

    world.on_point[before] = again
    with pytest.raises(MoveFailedError) as caught:
        await move(world)
    assert caught.value.settled.outcome is Outcome.BROKEN
    assert "may have run" in caught.value.settled.detail
    assert world.states() == {"a": "departed", "b": "ended"}


async def test_the_death_of_the_source_after_ready_loses_nothing(tmp_path: Path) -> None:
    """The destination holds the whole domain, so the move goes on."""
    world = World(tmp_path)
    await running_domain(world)

    def die() -> None:
        world.engine("a").write("web1", state="ended")
        raise EngineError("the hypervisor is gone")

    world.on_point = {"link sync after": die}
    await move(world)
    assert world.running() == ["b"]
    assert world.memory("b") == MEMORY


async def test_a_source_that_dies_before_ready_ends_the_move(tmp_path: Path) -> None:
    """Nothing of it is left at the destination, and its devices are undone."""
    world = World(tmp_path)
    await running_domain(world)

    def die() -> None:
        world.engine("a").write("web1", state="ended")
        raise EngineError("the hypervisor is gone")

    world.on_point = {"source engine precopy after": die}
    with pytest.raises(MoveFailedError) as caught:
        await move(world)
    assert caught.value.settled.outcome is Outcome.ENDED
    assert world.states() == {"a": "ended", "b": "absent"}
    assert [d for h, d, hook, _ in world.said if (h, hook) == ("a", "recover")] == ["net", "disk"]
    assert await recover(world, "ab") == []


async def test_an_unknown_message_is_refused(tmp_path: Path) -> None:
    """A peer of another version gets one clear line."""
    world = World(tmp_path)
    await running_domain(world)
    async with world.hub("a") as hub, hub.acting("web1"):
        link = await hub.link("b")
        with pytest.raises(PermanentError, match="is not known here"):
            await link.send(Message("m1", "dance"))
        with pytest.raises(PermanentError, match="c is no peer of a"):
            await hub.link("c")


@pytest.mark.parametrize(
    "step", ["test", "open", "prepare", "start", "sync", "grant", "finish", "close"]
)
@pytest.mark.parametrize("fault", ["lost request", "lost answer", "repeated"])
async def test_a_lost_or_repeated_message_leaves_one_running_copy(
    tmp_path: Path, step: str, fault: str
) -> None:
    """Whatever becomes of one message, the domain runs once and whole, and nothing is left over."""
    world = World(tmp_path)
    await running_domain(world)
    world.wrap_link = faulty({step: [fault]})
    try:
        await move(world)
        assert world.running() == ["b"]
    except (MoveFailedError, OutcomeUnknownError):
        assert world.running() == ["a"]
        assert fault != "repeated"
    assert sorted(world.states().values()) == ["absent", "running"]
    assert await recover(world, "ab") == []


@pytest.mark.parametrize("step", ["open", "prepare", "start", "sync", "grant", "finish", "close"])
async def test_a_destination_that_falls_silent_never_leaves_two_running_copies(
    tmp_path: Path, step: str
) -> None:
    """Before the release the source runs on; after it the domain waits, and arrives later."""
    world = World(tmp_path)
    await running_domain(world)
    dead = {step: ["dead"]}
    world.wrap_link = faulty(dead)

    def silent_from_now() -> None:
        dead["*"] = ["dead"]

    world.on_point = {f"link {step} before": silent_from_now}
    dead["look"] = ["dead"]
    settled = None
    try:
        await move(world)
    except MoveFailedError as error:
        settled = error.settled
    if step in {"open", "prepare", "start", "sync"}:
        assert settled is not None
        assert settled.outcome is Outcome.RESUMED
        assert world.running() == ["a"]
    elif step == "grant":
        assert settled is not None
        assert settled.outcome is Outcome.WAITING
        assert world.running() == []
        assert world.states()["a"] == "departed"
    dead.clear()
    world.on_point = {}
    await recover(world, "ab")
    assert len(world.running()) == 1
    assert await recover(world, "ab") == []

"""A client or a peer that is gone, silent, or has nothing more to say: whoever hears it lets go."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from domwarden.contract import (
    ConflictError,
    OutcomeUnknownError,
)
from domwarden.journal.lock import DomainLock
from domwarden.migration import Message, peer, wire
from domwarden.migration.answering import answer
from domwarden.migration.conversation import Conversation
from domwarden.migration.serving import Serving

from .helpers import running_domain
from .wired_world import EPOCH, Served, WiredWorld, connected, conversation, lines
from .world import World


async def test_a_peer_whose_client_is_gone_stops_and_lets_the_domain_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process takes over at once: the state is in the journal, the lock is free."""
    world = World(tmp_path)
    await running_domain(world)
    stuck = asyncio.Event()

    async def hang(*_: Any) -> None:
        stuck.set()
        await asyncio.Event().wait()

    world.options = {"disk": {"open": hang, "timeout": 600.0}}
    wired = WiredWorld(tmp_path)
    wired.options = world.options
    reached = await Served(wired, "b").start()
    assert await wire.read(reached.reader, 10)
    definition = (await world.engine("a").realize(world.definition(), world.room_of("a"))).as_json()
    body = {
        "move": {
            "domain": "web1",
            "movement": "migrate",
            "source": "a",
            "epoch": 1,
            "running": True,
            "definition": definition,
        },
        "tickets": {},
    }
    reached.writer.write(lines({"id": 1, "migration": "m", "step": "open", "body": body}))
    await asyncio.wait_for(stuck.wait(), 10)
    async with world.hub("b") as hub:
        with pytest.raises(ConflictError):
            hub.lock("web1").acquire()
        await asyncio.wait_for(reached.end(0), 10)
        with hub.lock("web1"):
            (record,) = await hub.site.journal.unfinished()
            assert record.id == "m"


async def test_a_client_that_only_looked_leaves_no_move_behind(tmp_path: Path) -> None:
    """Else each look at a move that waits would leave one process more that tries to settle it."""
    world = World(tmp_path)
    definition = (await world.engine("b").realize(world.definition(), world.room_of("b"))).as_json()
    move = {
        "domain": "web1",
        "movement": "migrate",
        "source": "a",
        "epoch": 1,
        "running": True,
        "definition": definition,
    }
    (reader, writer), there = await connected()
    async with world.hub("b") as hub:
        served = Serving(hub, *there)
        task = asyncio.create_task(served.run())
        await wire.read(reader, 10)
        for number, step in enumerate(("look", "give-up")):
            body = {"move": move}
            writer.write(lines({"id": number, "migration": "m", "step": step, "body": body}))
            answer = await wire.read(reader, 10)
            assert answer is not None
            assert "answer" in answer
            assert served.moves == ({"m"} if step == "give-up" else set())
        writer.close()
        await asyncio.wait_for(task, 10)
        there[1].close()


async def test_a_peer_that_closes_its_socket_closes_it_for_good() -> None:
    """It was given it twice, as input and as output; whoever waits for its end must see it."""
    ours, theirs = socket.socketpair()
    descriptors = os.dup(theirs.fileno()), os.dup(theirs.fileno())
    theirs.close()
    _, writer = await peer._opened(*descriptors)
    writer.close()
    await writer.wait_closed()
    ours.settimeout(10)
    assert await asyncio.to_thread(ours.recv, 1) == b""
    ours.close()


async def test_silence_is_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer that is frozen leaves the outcome unknown, and whoever asks goes on."""
    monkeypatch.setattr(wire, "SILENCE_SECONDS", 0.05)
    (reader, writer), (_, frozen) = await connected()
    asking = Conversation("b", reader, writer, lambda _: None)
    with pytest.raises(
        OutcomeUnknownError, match=r"b did not answer .*: it said nothing for 0.05 s"
    ):
        await asking.ask(Message("m", "look"))
    assert asking.ended
    with pytest.raises(OutcomeUnknownError):
        await asking.ask(Message("m", "look"))
    await asking.aclose()
    writer.close()
    frozen.close()


@pytest.mark.parametrize("step", ["start", "sync"])
async def test_a_peer_that_falls_silent_at_the_switchover_is_not_waited_for(
    step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A guest stands still for its answer: it has a fraction of the time that it has elsewhere."""
    monkeypatch.setattr(wire, "SWITCHOVER_SILENCE_SECONDS", 0.05)
    (reader, writer), (_, frozen) = await connected()
    asking = Conversation("b", reader, writer, lambda _: None)
    with pytest.raises(OutcomeUnknownError, match=r"0.05 s while the guest stood still"):
        await asking.ask(Message("m", step))
    assert asking.ended
    await asking.aclose()
    writer.close()
    frozen.close()


async def test_a_peer_that_is_heard_at_the_switchover_may_take_its_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its devices have time-outs of their own; only silence says that nobody works there."""
    monkeypatch.setattr(wire, "SWITCHOVER_SILENCE_SECONDS", 0.05)
    (reader, writer), (theirs, answering) = await connected()
    asking = Conversation("b", reader, writer, lambda _: None)
    asked = asyncio.create_task(asking.ask(Message("m", "sync")))
    message = None
    for _ in range(20):  # more pings than may be without an answer
        said = await wire.read(theirs, 10)
        assert said is not None
        message = message or said.get("id")
        answering.write(lines({"pong": 1}))
    answering.write(lines({"id": message, "answer": {"tickets": {}}}))
    assert await asked == {"tickets": {}}
    await asking.aclose()
    writer.close()
    answering.close()


@pytest.mark.parametrize(
    ("step", "silence_seconds", "allowed_seconds"),
    [("sync", 15.0, 1.5), ("start", 5.0, 1.5), ("sync", 1.0, 1.0), ("sync", 60.0, 6.0)],
)
def test_a_slow_peer_may_be_silent_for_longer_at_the_switchover(
    step: str, silence_seconds: float, allowed_seconds: float
) -> None:
    assert wire.silence_for(step, silence_seconds) == allowed_seconds
    for other in ("open", "prepare", "grant", "look", "finish"):
        assert wire.silence_for(other, silence_seconds) == silence_seconds


async def test_a_client_that_falls_silent_is_taken_for_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its network may be cut without a word; the domain's lock must not be held for it."""
    monkeypatch.setattr(wire, "SILENCE_SECONDS", 0.05)
    (_, writer), there = await connected()
    async with World(tmp_path).hub("b") as hub:
        await asyncio.wait_for(Serving(hub, *there).run(), 10)
    writer.close()
    there[1].close()


async def test_a_client_may_ask_for_more_patience(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its ping says how long it may be silent; nonsense is refused, and changes nothing."""
    monkeypatch.setattr(wire, "SILENCE_SECONDS", 0.2)
    (reader, writer), there = await connected()
    async with World(tmp_path).hub("b") as hub:
        serving = asyncio.create_task(Serving(hub, *there).run())
        await reader.readline()
        writer.write(lines({"ping": 1, "silence": 30}))
        assert await wire.read(reader, 10) == {"pong": 1}
        writer.write(lines({"ping": 1, "silence": "for ever"}))
        assert "no number of seconds" in (await reader.readline()).decode()
        await asyncio.sleep(0.4)
        assert not serving.done()
        writer.close()
        await asyncio.wait_for(serving, 10)
    there[1].close()


async def test_a_client_that_says_that_nothing_more_comes_is_let_go(tmp_path: Path) -> None:
    """The end of what the peer says tells that it has let go of every domain."""
    world = World(tmp_path)
    move = {"domain": "web1", "movement": "migrate", "source": "a", "epoch": 1, "running": True}
    look = {"id": 1, "migration": "m", "step": "look"}
    body = {"move": {**move, "definition": world.definition().as_json()}}
    (reader, writer), there = await connected()
    serving = asyncio.create_task(answer(world.hub("b"), *there))
    assert await wire.read(reader, 10) == wire.greeting("b")
    writer.write(lines({**look, "body": body}))
    assert (await wire.read(reader, 10) or {}).get("answer")
    with pytest.raises(ConflictError), DomainLock(world.hosts["b"].state_directory, "web1"):
        pass
    writer.write(lines({"end": 1}, EPOCH))
    assert await wire.read(reader, 10) is None
    with DomainLock(world.hosts["b"].state_directory, "web1"):
        pass
    assert await serving == set()
    writer.close()


async def test_signs_of_life_keep_a_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long nothing is asked."""
    monkeypatch.setattr(wire, "PING_SECONDS", 0.02)
    monkeypatch.setattr(wire, "SILENCE_SECONDS", 0.5)
    async with conversation(World(tmp_path)) as (asking, _):
        await asyncio.sleep(1.0)
        assert not asking.ended

"""The lines between a peer behind a command and its client: none makes anybody hang."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domwarden.contract import (
    BrokenError,
    ConflictError,
    DomwardenError,
    OutcomeUnknownError,
    PermanentError,
    Refusal,
    RefusedError,
)
from domwarden.journal.lock import DomainLock
from domwarden.migration import Hub, Message, peer, wire
from domwarden.migration.answering import answer
from domwarden.migration.conversation import Conversation
from domwarden.migration.serving import Serving

from .helpers import running_domain
from .wired_world import Served, WiredWorld, connected, lines
from .world import World


@contextlib.asynccontextmanager
async def serving(
    world: World, host: str = "b"
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter, Hub]]:
    """Serve a host; yields the client's end, after the greeting."""
    (reader, writer), there = await connected()
    async with world.hub(host) as hub:
        task = asyncio.create_task(Serving(hub, *there).run())
        try:
            assert await wire.read(reader, 10) == wire.greeting(host)
            yield reader, writer, hub
        finally:
            writer.close()
            await asyncio.wait_for(task, 10)
            there[1].close()


EPOCH = {
    "id": 1,
    "migration": "",
    "step": "epoch",
    "body": {"domain": "web1", "engine": "toy", "nonce": ""},
}

BAD = [
    b"{\n",
    b"\n",
    b"[]\n",
    b'"x"\n',
    b"nul\n",
    b"\xff\xfe\n",
    b"[" * 100_000 + b"\n",
    b"{}\n",
    b'{"id": "1", "migration": "", "step": "", "body": {}}\n',
    b'{"id": true, "migration": "", "step": "", "body": {}}\n',
    b'{"id": 1, "migration": 1, "step": "", "body": {}}\n',
    b'{"id": 1, "migration": "", "step": null, "body": {}}\n',
    b'{"id": 1, "migration": "", "step": "look", "body": []}\n',
]


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: repr(bad[:24]))
async def test_a_bad_line_gets_an_error_and_hinders_nothing(tmp_path: Path, bad: bytes) -> None:
    """The next message is answered."""
    async with serving(World(tmp_path)) as (reader, writer, _):
        writer.write(lines(bad, EPOCH))
        error = await wire.read(reader, 10)
        assert error is not None
        assert error["id"] is None
        assert error["error"]["message"].startswith("b: a line is no")
        answer = await wire.read(reader, 10)
        known = {"epoch": 0, "copy": False, "saved": False, "busy": False}
        assert answer == {"id": 1, "answer": known}


@pytest.mark.parametrize(
    ("step", "body"),
    [
        ("fly", {}),
        ("look", {}),
        ("look", {"move": {}}),
        ("open", {"move": {"domain": 5}}),
        ("epoch", {}),
        ("settle", {}),
        ("test", {"tickets": 7}),
    ],
)
async def test_a_message_that_makes_no_sense_is_answered_with_an_error(
    tmp_path: Path, step: str, body: dict[str, Any]
) -> None:
    """Whatever is missing in it."""
    async with serving(World(tmp_path)) as (reader, writer, _):
        writer.write(lines({"id": 1, "migration": "m1", "step": step, "body": body}))
        answer = await wire.read(reader, 10)
        assert answer is not None
        assert answer["id"] == 1
        assert answer["error"]["message"]


async def test_a_line_that_is_too_long_ends_the_connection_with_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the next line begins is not known then."""
    monkeypatch.setattr(wire, "LIMIT_BYTES", 65536)
    async with serving(World(tmp_path)) as (reader, writer, _):
        writer.write(b"x" * 200_000 + b"\n" + lines(EPOCH))
        error = await wire.read(reader, 10)
        assert error is not None
        assert "longer than 65536 bytes" in error["error"]["message"]
        with pytest.raises(PermanentError, match="too long for the link"):
            wire.encode({"x": "y" * 70_000})


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(said=st.lists(st.binary(max_size=60).map(lambda line: line.replace(b"\n", b" ") + b"\n")))
def test_no_line_whatever_makes_a_peer_hang(tmp_path: Path, said: list[bytes]) -> None:
    """A sign of life is returned after any of them."""

    async def run() -> None:
        async with serving(World(tmp_path)) as (reader, writer, _):
            writer.write(lines(*said, {"ping": 1}))
            while True:
                answer = await wire.read(reader, 10)
                assert answer is not None
                if "pong" in answer:
                    return

    asyncio.run(run())


@contextlib.asynccontextmanager
async def conversation(world: World) -> AsyncIterator[tuple[Conversation, Hub]]:
    async with serving(world) as (reader, writer, hub):
        asking = Conversation("b", reader, writer, lambda _: None)
        try:
            yield asking, hub
        finally:
            await asking.aclose()


@pytest.mark.parametrize(
    "error",
    [
        ConflictError("another acts", hint="wait"),
        BrokenError("look"),
        OutcomeUnknownError("silent"),
        RefusedError([Refusal("no", "it cannot", "do not", device="disk", host="b")]),
        PermanentError("never"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_an_error_keeps_its_meaning_on_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: DomwardenError
) -> None:
    """Its class, its words, its hint and its refusals."""
    async with conversation(World(tmp_path)) as (asking, hub):

        async def answer(_message: Message) -> Any:
            raise error

        monkeypatch.setattr(hub.receiver, "answer", answer)
        with pytest.raises(type(error)) as caught:
            await asking.ask(Message("m", "look"))
        assert str(caught.value) == str(error)
        if isinstance(error, RefusedError):
            assert caught.value.refusals == error.refusals


async def test_a_bug_in_an_answer_is_an_error_and_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other messages are answered meanwhile and afterwards."""
    async with conversation(World(tmp_path)) as (asking, hub):
        right = hub.receiver.answer

        async def answer(message: Message) -> Any:
            if message.step == "bug":
                raise ZeroDivisionError("by 0")
            return await right(message)

        monkeypatch.setattr(hub.receiver, "answer", answer)
        with pytest.raises(PermanentError, match="b stumbled over bug: ZeroDivisionError"):
            await asking.ask(Message("m", "bug"))
        assert await asking.ask(Message("", "epoch", EPOCH["body"]))  # type: ignore[arg-type]  # the table's


async def test_whoever_is_cancelled_cancels_what_was_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what was asked is at rest before the move is let go."""
    begun, ended, order = asyncio.Event(), asyncio.Event(), []
    async with conversation(World(tmp_path)) as (asking, hub):

        async def answer(_message: Message) -> Any:
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0)
                order.append("at rest")

        def forget(migration: str) -> None:
            order.append(f"forgot {migration}")
            ended.set()

        monkeypatch.setattr(hub.receiver, "answer", answer)
        monkeypatch.setattr(hub.receiver, "forget", forget)
        task = asyncio.create_task(asking.ask(Message("m", "start")))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        asking.forget("m")
        await asyncio.wait_for(ended.wait(), 10)
    assert order == ["at rest", "forgot m"]


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


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"domwarden-peer": 1, "contract": 1, "host": "c"}, "says that it is c"),
        ({"domwarden-peer": 2, "contract": 1, "host": "b"}, "b speaks protocol 2"),
        ({"domwarden-peer": 1, "contract": 9, "host": "b"}, "contract 9"),
        ({"host": "b"}, "protocol unknown"),
    ],
)
def test_another_host_or_version_is_refused(said: dict[str, Any], why: str) -> None:
    """Before any message is sent to it."""
    with pytest.raises(PermanentError, match=why):
        wire.check_greeting(said, "b")

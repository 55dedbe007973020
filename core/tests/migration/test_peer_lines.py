"""The lines between a peer and its client: none makes anybody hang."""

from __future__ import annotations

import asyncio
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
from domwarden.migration import Message, wire

from .wired_world import EPOCH, conversation, lines, serving
from .world import World

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

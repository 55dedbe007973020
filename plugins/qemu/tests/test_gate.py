"""Only who says the word comes through a gate, and nobody else harms who waits behind it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest

from domwarden.contract import EngineError
from domwarden_qemu import gate as gate_module
from domwarden_qemu.gate import Gate

LOOPBACK = "127.0.0.1"


@contextlib.asynccontextmanager
async def waiting() -> AsyncIterator[tuple[Gate, asyncio.Task[socket.socket]]]:
    """Enter a gate at which somebody waits for the source."""
    gate = Gate(LOOPBACK, (0, 0))
    task = asyncio.create_task(gate.source())
    try:
        yield gate, task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            (await task).close()
        gate.close()


async def connect(gate: Gate, says: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection(LOOPBACK, gate.port)
    writer.write(says)
    return reader, writer


async def closed(reader: asyncio.StreamReader) -> bytes:
    """Return what came until the other end closed."""
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""


async def test_who_says_the_word_comes_in_with_all_that_follows() -> None:
    """Not a byte of QEMU's own is taken from the connection."""
    async with waiting() as (gate, task):
        _, writer = await connect(gate, gate.word.encode() + b"\x16\x03hello")
        with await task as sock:
            assert await asyncio.get_running_loop().sock_recv(sock, 100) == b"\x16\x03hello"
        writer.close()


@pytest.mark.parametrize(
    "says", [b"GET / HTTP/1.0\r\n" + b"x" * 100, b"\x16\x03\x01" + bytes(200), b"0" * 64]
)
async def test_a_stranger_is_dropped_without_a_byte_and_the_source_still_comes(
    says: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with waiting() as (gate, task):
        reader, stranger = await connect(gate, says)
        assert await closed(reader) == b""
        assert "it is not the source of this stream" in caplog.text
        _, writer = await connect(gate, gate.word.encode())
        (await task).close()
        stranger.close()
        writer.close()


async def test_a_stranger_that_leaves_in_the_middle_of_the_word_is_dropped(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with waiting() as (gate, task):
        _, stranger = await connect(gate, gate.word.encode()[:-1])
        stranger.close()
        _, writer = await connect(gate, gate.word.encode())
        (await task).close()
        writer.close()
    assert gate.word not in caplog.text


async def test_silent_strangers_do_not_keep_the_source_out(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """However many hold their connections open, who came first goes first."""
    monkeypatch.setattr(gate_module, "MOST_STRANGERS", 3)
    async with waiting() as (gate, task):
        strangers = [await connect(gate, b"") for _ in range(6)]
        _, writer = await connect(gate, gate.word.encode())
        (await task).close()
        assert await closed(strangers[0][0]) == b""
        for _, each in (*strangers, (None, writer)):
            each.close()
    assert "too many came after it" in caplog.text


async def test_a_word_is_good_for_one_connection() -> None:
    async with waiting() as (gate, task):
        _, writer = await connect(gate, gate.word.encode())
        port = gate.port
        (await task).close()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(LOOPBACK, port)
        writer.close()


async def test_a_gate_that_is_given_up_listens_no_more() -> None:
    async with waiting() as (gate, _task):
        port = gate.port
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(LOOPBACK, port)


def test_a_gate_takes_a_free_port_of_those_allowed() -> None:
    with socket.create_server((LOOPBACK, 0)) as taken:
        first = taken.getsockname()[1]
        gate = Gate(LOOPBACK, (first, min(first + 20, 65535)))
        assert first < gate.port <= first + 20
        gate.close()
        with pytest.raises(EngineError, match=r"no stream can be listened for at 127"):
            Gate(LOOPBACK, (first, first))

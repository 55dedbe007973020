"""A console that fails tells why: whether its process lives, and what it said last."""

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from domwarden.testing.console import Console


@pytest.fixture
def socket(tmp_path: Path) -> Path:
    """Return where a console may listen, as an engine lays its files out."""
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "web1.qemu.log").write_text("first\n" * 50 + "qemu: it hurts here\n")
    path = tmp_path / "domains" / "web1" / "qemu" / "console"
    path.parent.mkdir(parents=True)
    return path


@contextlib.asynccontextmanager
async def answering(path: Path, said: bytes) -> AsyncIterator[Console]:
    """Enter a console whose other end says that much, and then nothing more."""

    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        await closed.wait()
        writer.close()

    closed = asyncio.Event()
    async with await asyncio.start_unix_server(serve, path):
        async with await Console.connect(path) as console:
            yield console
        closed.set()


async def test_nobody_listens_and_the_process_is_gone(socket: Path) -> None:
    """The log's end is shown, without its beginning."""
    with pytest.raises(TimeoutError) as caught:
        await Console.connect(socket, timeout_seconds=0.01)
    told = str(caught.value)
    assert f"nobody listened at {socket}" in told
    assert "none lives" in told
    assert "qemu: it hurts here" in told
    assert told.count("first") < 20


async def test_nobody_listens_although_the_process_lives(socket: Path) -> None:
    """The process is named with its state."""
    words = (sys.executable, "-c", "input()", str(socket))
    process = await asyncio.create_subprocess_exec(*words, stdin=subprocess.PIPE)
    with pytest.raises(TimeoutError, match=rf"  {process.pid} python\S*: [RSD] \("):
        await Console.connect(socket, timeout_seconds=0.01)
    await process.communicate(b"\n")


async def test_a_guest_that_does_not_answer_shows_its_console_and_the_log(socket: Path) -> None:
    """Both what the guest said and what the hypervisor said."""
    async with answering(socket, b"guest: oops\ncount 3\n") as console:
        await console.wait_count(3)
        for wait, what in (
            (console.wait_ready, ()),
            (console.command, ("read",)),
            (console.wait_count, (4,)),
        ):
            with pytest.raises(TimeoutError) as caught:
                await wait(*what, timeout_seconds=0.01)
            assert "guest: oops" in str(caught.value)
            assert "qemu: it hurts here" in str(caught.value)


async def test_a_console_that_is_closed_shows_the_log(socket: Path) -> None:
    """The end of QEMU is not silent."""

    async def end(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with (
        await asyncio.start_unix_server(end, socket),
        await Console.connect(socket) as console,
    ):
        await console.wait_closed()
        with pytest.raises(ConnectionError, match="it hurts here"):
            await console.wait_ready()
        with pytest.raises(ConnectionError, match="it hurts here"):
            await console.wait_count(1)


async def test_a_guest_that_answers_late_is_waited_for_ever_longer(
    socket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each answer comes later than the first pings wait for theirs."""
    monkeypatch.setattr("domwarden.testing.console._PING_SECONDS", 0.001)
    asked, gone = 0, asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        while line := await reader.readline():
            asked += 1
            answer = b"ok pong " + line.split()[1] + b"\n"
            asyncio.get_running_loop().call_later(0.01, writer.write, answer)
        writer.close()
        await writer.wait_closed()
        gone.set()

    async with await asyncio.start_unix_server(serve, socket):
        async with await Console.connect(socket) as console:
            await console.wait_ready(timeout_seconds=30)
        await gone.wait()
    assert asked > 1

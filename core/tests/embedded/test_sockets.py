"""Sockets that a cancelled caller leaves behind are closed."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from domwarden.embedded import sockets


@pytest.mark.parametrize("make", [sockets.listen_unix, sockets.reach_unix])
async def test_a_socket_whose_maker_was_cancelled_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], Awaitable[object]]
) -> None:
    """Its thread goes on, and nobody would hear of what it made."""
    made: list[socket.socket] = []
    begun, go_on = threading.Event(), threading.Event()

    class Kept(socket.socket):
        def __init__(self, *arguments: int) -> None:
            super().__init__(*arguments)
            made.append(self)

    def slow(_path: Path, _act: object) -> None:
        begun.set()
        assert go_on.wait(60)

    monkeypatch.setattr(sockets.socket, "socket", Kept)
    monkeypatch.setattr(sockets, "_at", slow)
    task = asyncio.ensure_future(make(tmp_path / "web1.sock"))
    try:
        assert await asyncio.to_thread(begun.wait, 60)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert [sock.fileno() for sock in made] == [-1]
    finally:
        go_on.set()

"""Unix sockets at paths of any length."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from pathlib import Path


async def listen_unix(path: Path) -> socket.socket:
    """Listen at the path with mode 0600; what lay there is replaced.  Raises OSError."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        await asyncio.to_thread(_listen, sock, path)
    except BaseException:  # also when cancelled: the thread's end would come too late to close it
        sock.close()
        raise
    return sock


def _listen(sock: socket.socket, path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    _at(path, sock.bind)
    path.chmod(0o600)
    sock.listen(16)


async def reach_unix(path: Path) -> socket.socket:
    """Connect to the path, in a thread: a listener may be slow to accept.  Raises OSError."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        await asyncio.to_thread(_at, path, sock.connect)
    except BaseException:  # as above
        sock.close()
        raise
    sock.setblocking(False)
    return sock


def connect_unix(path: Path) -> socket.socket:
    """Connect to the path; raises OSError."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _at(path, sock.connect)
    except BaseException:
        sock.close()
        raise
    sock.setblocking(False)
    return sock


def _at(path: Path, act: Callable[[str], None]) -> None:
    """Name the socket through its directory's descriptor: a socket's path has at most 107 bytes."""
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        act(f"/proc/self/fd/{directory}/{path.name}")
    finally:
        os.close(directory)

"""What a mirror's target leaves when its process was killed."""

from __future__ import annotations

import socket
from pathlib import Path

from domwarden.contract import End, Step

from .helpers import Side, host


async def test_recovery_removes_the_socket_of_a_server_that_was_killed(tmp_path: Path) -> None:
    """A held destination is ended by SIGKILL, which gives its server no time to clean up."""
    options = {"source": str(tmp_path / "d.img"), "placement": "mirror"}
    target = Side(End.DESTINATION, host(tmp_path, "b"), options)
    left = target.directory / "nbd.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(left))
    assert left.is_socket()
    for _ in range(2):
        await target.recover(Step.PREPARE)
    assert not left.exists()

"""A process of its own that notes when QEMU stops a guest and resumes one.

``python recorder.py DIRECTORY...``: as soon as a QEMU listens on DIRECTORY/events it is heard, and
each STOP and RESUME becomes one JSON line with QEMU's own time stamp. Ends with its input.
"""

from __future__ import annotations

import json
import os
import select
import socket
import sys
from pathlib import Path

#: How soon a new QEMU is found; its guest cannot resume so fast.
LOOK_SECONDS = 0.005


def main(directories: list[str]) -> None:
    """Record until standard input ends."""
    open_sockets: dict[str, socket.socket] = {}
    rests: dict[str, bytes] = {}
    while True:
        for directory in directories:
            if directory not in open_sockets and (found := _connect(directory)) is not None:
                open_sockets[directory], rests[directory] = found, b""
        descriptors = [0, *(sock.fileno() for sock in open_sockets.values())]
        ready, _, _ = select.select(descriptors, [], [], LOOK_SECONDS)
        if 0 in ready and not os.read(0, 4096):
            return
        for directory, sock in list(open_sockets.items()):
            if sock.fileno() in ready:
                rest = _hear(directory, sock, rests[directory])
                if rest is None:
                    open_sockets.pop(directory).close()
                else:
                    rests[directory] = rest


def _connect(directory: str) -> socket.socket | None:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.connect(str(Path(directory, "events")))
        sock.sendall(b'{"execute": "qmp_capabilities"}\n')
    except OSError:
        sock.close()
        return None
    return sock


def _hear(directory: str, sock: socket.socket, rest: bytes) -> bytes | None:
    try:
        data = sock.recv(65536)
    except OSError:
        return None
    if not data:
        return None
    *lines, rest = (rest + data).split(b"\n")
    for line in lines:
        said = json.loads(line)
        if said.get("event") in ("STOP", "RESUME"):
            stamp = said["timestamp"]
            at = stamp["seconds"] + stamp["microseconds"] / 1e6
            heard = {"directory": directory, "event": said["event"], "at": at}
            print(json.dumps(heard), flush=True)
    return rest


if __name__ == "__main__":
    main(sys.argv[1:])

"""The two halves of ``xl migrate`` as a fake xl plays them: the real messages and a real stream.

What each does when the other is lost was seen of xl 4.17: until it read *ready* the sender resumes
its domain, afterwards it leaves it suspended; the receiver destroys its copy, unless it cannot
write any more.
"""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import fake_stream
import fake_world as fake

BANNER = b"xl migration receiver ready, send binary domain data.\n"
READY = b"domain received, ready to unpause\0"
GO = b"domain is yours, you are cleared to unpause\0"
REPORT = b"my copy unpause results are as follows\0"
#: libxl gives a guest so long for its answer (60 s); a fake one has less patience.
SUSPEND_SECONDS = 2.0


class Lost(Exception):
    """The other side is gone, or said something else."""


def exactly(descriptor: int, length: int) -> bytes:
    """Read so many bytes."""
    data = b""
    while len(data) < length:
        piece = os.read(descriptor, length - len(data))
        if not piece:
            raise Lost("end of file")
        data += piece
    return data


def expect(descriptor: int, text: bytes) -> None:
    """Read one fixed message."""
    if exactly(descriptor, len(text)) != text:
        raise Lost("unexpected data")


def send(descriptor: int, data: bytes) -> None:
    """Write all of it."""
    try:
        while data:
            data = data[os.write(descriptor, data) :]
    except OSError as error:
        raise Lost(str(error)) from error


def say(text: str) -> None:
    """Write to the log, as xl does."""
    print(text, file=sys.stderr, flush=True)


def migrate(host: Path, arguments: list[str]) -> None:
    """Be ``xl migrate -s '' DOMAIN COMMAND``."""
    name, command = arguments[-2:]
    with fake.world(host) as state:
        found = fake.find(state, name)
        if found is None:
            say(f"{name} is an invalid domain identifier (rc=-6)")
            sys.exit(1)
        domid, domain = found[0], dict(found[1])
        pages = int(state.get("pages", 16))
    child = subprocess.Popen(
        ["sh", "-c", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    )
    assert child.stdin is not None
    assert child.stdout is not None
    to, back = child.stdin.fileno(), child.stdout.fileno()
    try:
        expect(back, BANNER)
    except Lost:
        say("migration receiver stream contained unexpected data instead of banner")
        sys.exit(1)
    try:
        send(to, fake_stream.beginning(domain["config"], pages))
        _pause_here(host, "stream")
        send(to, fake_stream.ending(_suspend(host, domid)))
        expect(back, READY)
    except Lost:
        child.stdin.close()
        say("Migration failed, resuming at sender.")
        _resume(host, domid)
        sys.exit(1)
    except TimeoutError:
        child.stdin.close()
        say("libxl: error: guest didn't acknowledge suspend, cancelling request")
        say("Migration failed, failed to suspend at sender.")
        sys.exit(1)
    say("migration sender: Target has acknowledged transfer.")
    _change(host, domid, name=f"{domain['name']}--migratedaway")
    _pause_here(host, "told")
    try:
        send(to, GO)
        expect(back, REPORT)
        status = exactly(back, 1)[0]
        if status:
            expect(back, GO)
    except Lost:
        say("** Migration failed during final handshake **\nDomain state is now undefined !")
        sys.exit(1)
    if status:
        _change(host, domid, name=domain["name"])
        _resume(host, domid)
        say("migration sender: Resumed OK.")
        sys.exit(1)
    with fake.world(host) as state:
        del state["domains"][domid]
    say("Migration successful.")


def _pause_here(host: Path, point: str) -> None:
    """Stand still as long as a test wants it."""
    while True:
        with fake.world(host) as state:
            if state.get("hold") != point:
                return
        time.sleep(0.01)


def _suspend(host: Path, domid: str) -> dict[str, Any]:
    """Ask the guest to suspend itself; one whose processors stand still cannot."""
    until = time.monotonic() + SUSPEND_SECONDS
    while time.monotonic() < until:
        with fake.world(host) as state:
            domain = state["domains"][domid]
            domain["asked"] = "suspend"
            if fake.running(domain) and not domain["guest"]["hung"]:
                domain["code"] = fake.SUSPEND
                domain["asked"] = ""
                return dict(domain["guest"])
        time.sleep(0.01)
    with fake.world(host) as state:
        state["domains"][domid]["asked"] = ""
    raise TimeoutError


def _resume(host: Path, domid: str) -> None:
    with fake.world(host) as state:
        domain = state["domains"].get(domid)
        if domain is not None and domain["code"] == fake.SUSPEND:
            domain["code"] = None


def _change(host: Path, domid: str, /, **what: Any) -> None:
    with fake.world(host) as state:
        state["domains"][domid].update(what)


def receive(host: Path, arguments: list[str], build: Any, monitor: Any, parse: Any) -> None:
    """Be ``xl migrate-receive -p``; the three functions are the fake xl's own."""
    say("migration target: Ready to receive domain.")
    domid = ""
    try:
        send(1, BANNER)
        head = exactly(0, 48)
        magic, _, flags, _, length = struct.unpack("<32sIIII", head)
        if magic != fake_stream.MAGIC:
            raise Lost("wrong magic number")
        text = exactly(0, length)[4:]
        config = json.loads(text.rstrip(b"\0"))["config"] if flags & 1 else parse(text.decode())
        name = config["name"]
        with fake.world(host) as state:
            domid = build(state, {**config, "name": f"{name}--incoming"}, held=True)
            state["domains"][domid]["config"] = config
        guest = _stream()
    except Lost as error:
        say(f"libxl: error: reading the stream: {error}")
        if domid:
            with fake.world(host) as state:
                del state["domains"][domid]
        say("migration target: Domain creation failed (code -3).")
        sys.exit(1)
    with fake.world(host) as state:
        clock = state["clock"]
        # Xen's timer does not travel; the guest's own driver arms a new one when it resumes.
        state["domains"][domid]["guest"] = {**guest, "seen": clock, "kicked": clock}
    monitor(host, domid, config)  # its own descriptors 0 to 2 are others from then on
    _handshake(host, domid, name, 1, 0, paused="-p" in arguments)


def _handshake(host: Path, domid: str, name: str, to: int, back: int, *, paused: bool) -> None:
    try:
        send(to, READY)
    except Lost:
        sys.exit(1)
    status = 0
    try:
        expect(back, GO)
        with fake.world(host) as state:
            if any(domain["name"] == name for domain in state["domains"].values()):
                raise Lost("the name is taken")
            state["domains"][domid]["name"] = name
            if not paused:
                state["domains"][domid]["pauses"] -= 1
    except Lost as error:
        say(f"migration target: Failure, destroying our copy ({error}).")
        status = 3
    try:
        send(to, REPORT + bytes([status]))
    except Lost:
        sys.exit(1)
    if status:
        with fake.world(host) as state:
            state["domains"].pop(domid, None)
        send(to, GO)
        sys.exit(1)


def _stream() -> dict[str, Any]:
    """Read libxl's stream to its last record; returns the guest in it."""
    exactly(0, 16)
    guest: dict[str, Any] = {}
    while True:
        kind, length = struct.unpack("<II", exactly(0, 8))
        if kind == 0:
            return guest
        if kind == 1:
            exactly(0, 40)
            while True:
                inner, size = struct.unpack("<II", exactly(0, 8))
                exactly(0, -(-size // 8) * 8)
                if inner == 0:
                    break
        else:
            body = exactly(0, -(-length // 8) * 8)[:length]
            if kind == 3:
                guest = json.loads(body[8:])

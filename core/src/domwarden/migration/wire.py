"""The protocol between two hosts over one stream of bytes: a JSON object a line.

::

    peer    {"domwarden-peer": 1, "contract": 1, "host": "m2"}             the greeting
    client  {"id": 7, "migration": "...", "step": "...", "body": {...}}    a message
    peer    {"id": 7, "answer": {...}}  or  {"id": 7, "error": {...}}
    peer    {"moment": {...}}                  any number: what happens at that end meanwhile
    client  {"cancel": 7}                      nobody waits for that answer any more
    client  {"forget": "..."}                  let go of that move
    client  {"end": 1}                         nothing more comes, where no half can be closed
    client  {"ping": 1, "silence": 15}         both are alive, and take the other one for gone
    peer    {"pong": 1}                        when it says nothing for so many seconds

An error whose id is null answers a line that was no message.  A stream that ends, or is silent for
too long, leaves the outcome of every unanswered message unknown.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from domwarden.contract import CONTRACT, PermanentError
from domwarden.migration.link import Message

VERSION = 1
#: The longest line: a definition and every device's ticket of 64 KiB fit.
LIMIT_BYTES = 4 * 1024 * 1024
PING_SECONDS = 3.0
#: Whoever hears nothing for so long takes the other one for gone; a host file may say more.
SILENCE_SECONDS = 15.0
_LONGEST_SILENCE_SECONDS = 3600.0
#: The same while a guest stands still for an answer; more where a host file says more of the peer.
SWITCHOVER_SILENCE_SECONDS = 1.5
#: The steps whose answers a suspended guest waits for. A grant is none: nobody takes it back.
_SWITCHOVER = frozenset({"start", "sync"})

#: How long an answer may take.  Steps are bounded at the peer, by its devices' and its engine's own
#: time-outs, which count from a job's last report; this is for a peer that only seems to work.
LONGEST_SECONDS = 6 * 3600.0
_QUICK_SECONDS: Mapping[str, float] = {
    "epoch": 60.0,
    "evacuate": 60.0,
    "memory": 60.0,
    "look": 60.0,
    "settle": 900.0,
}


class FrameError(ValueError):
    """A line is not what the protocol allows."""


class TooLongError(FrameError):
    """A line is longer than any may be; where the next one begins is not known."""


def seconds_for(step: str) -> float:
    """Return how long the answer to a message may take."""
    return _QUICK_SECONDS.get(step, LONGEST_SECONDS)


def silence_for(step: str, silence_seconds: float) -> float:
    """Return how long a peer may be silent that was asked for a step."""
    if step not in _SWITCHOVER:
        return silence_seconds
    slowness = max(1.0, silence_seconds / SILENCE_SECONDS)
    return min(silence_seconds, SWITCHOVER_SILENCE_SECONDS * slowness)


def encode(data: Mapping[str, Any]) -> bytes:
    """Return one line; raises PermanentError for one that the other end would not read."""
    line = json.dumps(data, separators=(",", ":")).encode() + b"\n"
    if len(line) > LIMIT_BYTES:
        raise PermanentError(f"a message of {len(line)} bytes is too long for the link")
    return line


def decode(line: bytes) -> dict[str, Any]:
    """Return what one line says; raises FrameError."""
    try:
        data = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise FrameError(f"a line is no JSON: {_shown(line)}") from error
    if not isinstance(data, dict):
        raise FrameError(f"a line is no JSON object: {_shown(line)}")
    return data


def _shown(line: bytes) -> str:
    return ascii(line[:60].decode(errors="replace"))


async def read(reader: asyncio.StreamReader, timeout_seconds: float) -> dict[str, Any] | None:
    """Return the next line's object, or None at the end of the stream.

    Raises FrameError, and TimeoutError when nothing comes.
    """
    try:
        async with asyncio.timeout(timeout_seconds):
            line = await reader.readline()
    except ValueError:
        raise TooLongError(f"a line is longer than {LIMIT_BYTES} bytes") from None
    if not line.endswith(b"\n"):
        return None  # it ended in the middle of a line, at the latest
    return decode(line)


def greeting(host: str) -> dict[str, Any]:
    """Return how a peer greets."""
    return {"domwarden-peer": VERSION, "contract": CONTRACT, "host": host}


def check_greeting(said: Mapping[str, Any], host: str) -> None:
    """Raise PermanentError for a peer that is another host, or speaks another version."""
    if said.get("domwarden-peer") != VERSION or said.get("contract") != CONTRACT:
        raise PermanentError(
            f"{host} speaks protocol {said.get('domwarden-peer', 'unknown')}, contract"
            f" {said.get('contract', 'unknown')}; here it is {VERSION}, contract {CONTRACT}",
            hint="use the same version of domwarden on both hosts",
        )
    if said.get("host") != host:
        raise PermanentError(
            f"what should be {host} says that it is {said.get('host')}",
            hint="correct how the peer is reached, or the name in its host file",
        )


def silence(ping: Mapping[str, Any]) -> float:
    """Return how long the client that sent this may say nothing; raises FrameError."""
    seconds = ping.get("silence", SILENCE_SECONDS)
    if not isinstance(seconds, int | float) or not 0 < seconds <= _LONGEST_SILENCE_SECONDS:
        raise FrameError("a ping's silence is no number of seconds")
    return float(seconds)


def message_as_json(number: int, message: Message) -> dict[str, Any]:
    """Return a message as plain data."""
    return {
        "id": number,
        "migration": message.migration,
        "step": message.step,
        "body": dict(message.body),
    }


def message_from_json(data: Mapping[str, Any]) -> tuple[int, Message]:
    """Rebuild a message and its number; raises FrameError."""
    number, migration = data.get("id"), data.get("migration")
    step, body = data.get("step"), data.get("body")
    if (
        type(number) is not int
        or not isinstance(migration, str)
        or not isinstance(step, str)
        or not isinstance(body, dict)
    ):
        raise FrameError("a line is no message: id, migration, step or body is missing or wrong")
    return number, Message(migration, step, body)

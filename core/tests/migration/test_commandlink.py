"""A peer's command as a process: found, heard, refused, ended."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from domwarden.contract import OutcomeUnknownError, PermanentError, TransientError
from domwarden.migration import Message, command, peerlink, wire
from domwarden.migration.command import Command, Reached
from domwarden.migration.peerlink import PeerLink

#: A peer that answers each message with its own process's number.
ECHO = """
import json, os, sys
print(json.dumps({"domwarden-peer": 1, "contract": 1, "host": "b"}), flush=True)
for line in sys.stdin:
    said = json.loads(line)
    if "ping" in said:
        print('{"pong": 1}', flush=True)
    elif said.get("step") == "die":
        os._exit(3)
    elif said.get("step") == "hang":
        pass
    elif "id" in said:
        print(json.dumps({"id": said["id"], "answer": {"pid": os.getpid()}}), flush=True)
"""


def link(*words: str, silence_seconds: float | None = None) -> PeerLink:
    return PeerLink(
        "b", lambda: Command.start("b", words), lambda _: None, silence_seconds=silence_seconds
    )


async def ask(way: PeerLink, step: str = "look") -> int:
    return int((await way.send(Message("m", step)))["pid"])


async def test_the_command_is_started_with_the_first_message_and_again_after_its_death() -> None:
    """A message without an answer leaves its outcome unknown; the next one finds a new peer."""
    way = link(sys.executable, "-c", ECHO)
    first = await ask(way)
    assert await ask(way) == first
    with pytest.raises(OutcomeUnknownError, match="b did not answer"):
        await ask(way, "die")
    second = await ask(way)
    assert second != first
    assert os.getsid(second) == second
    await way.aclose()
    with pytest.raises(ProcessLookupError):
        os.kill(second, 0)
    await way.aclose()


class _Reset(Reached):
    """A connection that is reset before anybody greets."""

    def __init__(self) -> None:
        self.reader = asyncio.StreamReader()
        self.reader.set_exception(ConnectionResetError("reset by peer"))

    async def last_words(self) -> str:
        return ""

    async def end(self, patience_seconds: float) -> None:
        return


async def test_a_reset_before_the_greeting_is_a_peer_that_cannot_be_reached() -> None:
    """Not an error of the operating system's, which no caller of a link expects."""

    async def reach(_peer: str, _command: Sequence[str]) -> Reached:
        return _Reset()

    way = PeerLink("b", lambda: reach("b", ("reach",)), lambda _: None)
    with pytest.raises(TransientError, match="reset by peer"):
        await ask(way)


async def test_messages_are_answered_beside_each_other() -> None:
    """One that takes long holds up no other."""
    way = link(sys.executable, "-c", ECHO)
    slow = asyncio.create_task(ask(way, "hang"))
    await asyncio.sleep(0)
    assert await ask(way) == await ask(way)
    assert not slow.done()
    await way.aclose()
    with pytest.raises(OutcomeUnknownError, match="it was closed"):
        await slow


async def test_a_program_that_is_not_there_is_named() -> None:
    """With what to do about it."""
    with pytest.raises(PermanentError, match="/no/such: No such file") as caught:
        await ask(link("/no/such", "peer"))
    assert "host file" in caught.value.hint


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ("import sys; sys.exit('Permission denied (publickey).')", r"Permission denied \(public"),
        ("import sys; sys.exit(7)", "its command ended with status 7"),
        ("print('Welcome to b!')", "a line is no JSON: 'Welcome"),
        ("print('x' * 70000)", "a line is longer than"),
    ],
)
async def test_a_command_that_reaches_no_peer_says_why(
    monkeypatch: pytest.MonkeyPatch, program: str, why: str
) -> None:
    """Its last words, or what it said instead of a greeting."""
    monkeypatch.setattr(wire, "LIMIT_BYTES", 65536)
    with pytest.raises(TransientError, match=f"b cannot be reached: {why}") as caught:
        await ask(link(sys.executable, "-c", program))
    assert "by hand" in caught.value.hint


async def test_another_host_is_refused_and_its_command_ended(tmp_path: Path) -> None:
    """A command that leads to the wrong machine must move nothing there."""
    program = f"open({str(tmp_path / 'pid')!r}, 'w').write(str(__import__('os').getpid()))" + (
        ECHO.replace('"host": "b"', '"host": "c"')
    )
    way = link(sys.executable, "-c", program)
    with pytest.raises(PermanentError, match="what should be b says that it is c"):
        await ask(way)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


async def test_a_command_that_does_not_greet_is_ended_and_waited_for_shorter_next_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A guest may stand still while a dead host is asked again."""
    monkeypatch.setattr(peerlink, "START_SECONDS", 0.2)
    monkeypatch.setattr(peerlink, "AGAIN_SECONDS", 0.1)
    way = link(sys.executable, "-c", "import time; time.sleep(600)")
    with pytest.raises(TransientError, match=r"no greeting in 0\.2 s"):
        await ask(way)
    with pytest.raises(TransientError, match=r"no greeting in 0\.1 s"):
        await ask(way)


async def test_a_host_that_may_be_silent_for_long_may_greet_as_late(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One factor for a slow host: greeting, and every word after it."""
    monkeypatch.setattr(peerlink, "START_SECONDS", 0.2)
    waits = (sys.executable, "-c", "import time; time.sleep(600)")
    way = link(*waits, silence_seconds=30.0)
    with pytest.raises(TransientError, match=r"no greeting in 0\.4 s"):
        await ask(way)


async def test_a_peer_that_goes_on_by_itself_is_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It has closed its output and settles a move; whoever closes the link kills nothing."""
    monkeypatch.setattr(command, "KILL_SECONDS", 0.2)
    way = link(
        sys.executable, "-c", f"{ECHO}\nimport time; os.close(1); os.close(0); time.sleep(600)"
    )
    pid = await ask(way)
    await way.aclose()
    os.kill(pid, 0)
    os.kill(pid, signal.SIGKILL)
    await asyncio.to_thread(os.waitpid, pid, 0)


async def test_a_peer_that_does_not_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it makes of its input's end, or of a request to go."""
    monkeypatch.setattr(command, "KILL_SECONDS", 0.2)
    monkeypatch.setattr(peerlink, "CLOSE_SECONDS", 0.1)
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    way = link(sys.executable, "-c", f"{deaf}\n{ECHO}\ntime.sleep(600)")
    pid = await ask(way)
    await way.aclose()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)

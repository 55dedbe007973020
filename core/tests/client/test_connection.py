"""A service that says nothing, nonsense or half of it is told of in one line, and soon."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from domwarden.client import connection, dialling, following
from domwarden.client.connection import Service
from domwarden.client.dialling import listening
from domwarden.client.following import follow
from domwarden.contract import DomwardenError, OutcomeUnknownError, PermanentError, TransientError

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"


class Wire:
    """A listening socket whose first answers are written down beforehand.

    What comes after the last one is taken and never answered, as by a process that hangs.
    """

    def __init__(self, path: Path, answers: list[bytes]) -> None:
        self.asked: list[str] = []
        #: After so many looks at its health the first request is answered.
        self.healthy = 0
        self._answers = answers
        self._held: list[socket.socket] = []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                taken, _ = self.listener.accept()
            except OSError:
                return
            self._held.append(taken)
            said = taken.recv(65536).decode()
            if not said:
                continue
            self.asked.append(said)
            if "/v1/health" in said and self.healthy:
                taken.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
                if len(self.asked) > self.healthy:
                    self._held[0].sendall(
                        b'HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n{"done": true}'
                    )
            elif self._answers:
                taken.sendall(self._answers.pop(0))
                taken.close()

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        for one in (self.listener, *self._held):
            one.close()


@pytest.fixture
def wire(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Wire]]:
    monkeypatch.setattr(following, "PAUSE_SECONDS", 0.01)
    with contextlib.ExitStack() as end:

        def make(*answers: bytes) -> Wire:
            made = Wire(tmp_path / "sock", list(answers))
            end.callback(made.close)
            return made

        yield make


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask soon whether a service lives, and give it a moment to say so."""
    monkeypatch.setattr(connection, "QUIET_SECONDS", 0.05)
    monkeypatch.setattr(dialling, "LIMIT_SECONDS", 0.2)


def at(path: Path) -> Service:
    connected = listening(path)
    assert connected is not None
    return Service(path, connected)


def said(status: str, body: str) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


def test_a_socket_that_nobody_listens_on_is_as_none(tmp_path: Path) -> None:
    """What a killed service leaves, what never was, and a path through a file."""
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "left"))
    (tmp_path / "file").touch()
    for name in ("left", "never", "file", "file/under"):
        assert listening(tmp_path / name) is None


def test_a_path_may_be_longer_than_an_address(tmp_path: Path, wire: Callable[..., Wire]) -> None:
    wire(said("200 OK", "{}"))
    long = tmp_path / ("d" * 120)
    long.symlink_to(tmp_path)
    assert at(long / "sock").ask("GET", "/v1/health") == {}


@pytest.mark.usefixtures("impatient")
def test_a_service_that_hangs_is_no_reason_to_act_beside_it(
    tmp_path: Path, wire: Callable[..., Wire]
) -> None:
    """It takes connections, as the kernel does for a stopped process, and says nothing."""
    wire()
    with pytest.raises(OutcomeUnknownError, match="does not answer"):
        at(tmp_path / "sock").ask("POST", "/v1/status", {})


@pytest.mark.usefixtures("impatient")
def test_one_that_takes_long_is_asked_whether_it_lives(
    tmp_path: Path, wire: Callable[..., Wire]
) -> None:
    """The answer may take any time as long as it does."""
    made = wire()
    made.healthy = 3
    assert at(tmp_path / "sock").ask("GET", "/v1/domains") == {"done": True}
    assert [one.split()[1] for one in made.asked] == ["/v1/domains", *["/v1/health"] * 3]


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (b"", OutcomeUnknownError, "it may have acted"),
        (b"SSH-2.0-OpenSSH\r\n", OutcomeUnknownError, "it may have acted"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{", OutcomeUnknownError, "may have acted"),
        (said("200 OK", "<html>"), PermanentError, "no domwarden"),
        (said("404 Not Found", "[]"), PermanentError, "no domwarden"),
        (said("404 Not Found", '{"code": "no-such-path"}'), PermanentError, "no reason"),
        (said("503 Gone", '{"code": "stopping", "detail": "x"}'), TransientError, "x"),
    ],
)
def test_what_is_no_answer_is_told_in_one_line(
    tmp_path: Path,
    wire: Callable[..., Wire],
    answer: bytes,
    kind: type[DomwardenError],
    words: str,
) -> None:
    wire(answer)
    with pytest.raises(kind, match=words) as raised:
        at(tmp_path / "sock").ask("GET", "/v1/health")
    assert "\n" not in raised.value.message


def test_a_stream_is_taken_up_where_it_broke(tmp_path: Path, wire: Callable[..., Wire]) -> None:
    """By the number of the last event, through an end of the service and its next start."""
    moment = 'id: {0}\nevent: moment\ndata: {{"n": {0}}}\n\n'
    made = wire(
        HEAD + b": nothing new\n\n" + (moment.format(1) + moment.format(2)).encode() + b"id: 3\nev",
        said("503 Unavailable", '{"code": "stopping", "detail": "x"}'),
        HEAD + (moment.format(3) + 'event: end\ndata: {"n": "end"}\n\n').encode(),
    )
    heard: list[object] = []
    ended = follow(at(tmp_path / "sock"), "/v1/operations/x", lambda _, data: heard.append(data))
    assert (heard, ended) == ([{"n": 1}, {"n": 2}, {"n": 3}], {"n": "end"})
    numbers = [line for one in made.asked for line in one.split("\r\n") if "Last-Event" in line]
    assert numbers == ["Last-Event-ID: 0", "Last-Event-ID: 2", "Last-Event-ID: 2"]


def test_a_service_that_stays_away_is_not_waited_for(
    tmp_path: Path, wire: Callable[..., Wire], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "RESTART_SECONDS", 0.05)
    wire(HEAD)
    service = at(tmp_path / "sock")
    (tmp_path / "sock").unlink()
    with pytest.raises(OutcomeUnknownError, match="has ended"):
        follow(service, "/v1/operations/x", lambda *_: None)


def test_a_move_that_waits_for_nobody_here_ends_the_wait(
    tmp_path: Path, wire: Callable[..., Wire]
) -> None:
    """Its problem is the caller's end of it, whoever settles the rest."""
    failed = b'event: state\ndata: {"state": "waiting", "problem": {"code": "broken"}}\n\n'
    wire(HEAD + failed)
    found = follow(at(tmp_path / "sock"), "/v1/migrations/x", lambda *_: None)
    assert found["problem"] == {"code": "broken"}


def test_an_undriven_move_is_not_waited_for_without_end(
    tmp_path: Path, wire: Callable[..., Wire], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "WAITING_SECONDS", 0.0)
    waits = b'event: state\ndata: {"state": "waiting", "problem": null}\n\n: nothing new\n\n'
    wire(HEAD + waits + b": nothing new\n\n")
    with pytest.raises(OutcomeUnknownError, match="nobody drives"):
        follow(at(tmp_path / "sock"), "/v1/migrations/x", lambda *_: None)

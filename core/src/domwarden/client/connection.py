"""One host's service: asked, and followed, with a limit to every wait."""

from __future__ import annotations

import json
import select
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from domwarden.client.dialling import connect, failed, gone, hangs

if TYPE_CHECKING:
    from http.client import HTTPResponse

#: After so long without an answer it is asked whether it lives.
QUIET_SECONDS = 5.0
_BAD_REQUEST = 400
#: A follower hears something every 15 s, if only that there is nothing new.
SILENCE_SECONDS = 60.0


class LostError(Exception):
    """The connection ended before everything was said."""


class Service:
    """The service that listens at a path.

    ``connected`` is a connection for the first request. Every method raises what the service's
    problem means, and DomwardenError for a service that does not answer.
    """

    def __init__(self, path: Path, connected: socket.socket | None = None) -> None:
        self.path = path
        self._connected = connected

    def ask(self, method: str, where: str, body: Any = None) -> Any:
        """Ask, and return the answer's data. The service may take as long as it lives."""
        with self._open() as connected:
            try:
                _send(connected, method, where, body)
                with self._answer(connected, method) as response:
                    found = json.loads(response.read())
            except TimeoutError as error:
                hangs(self.path, error)
            except _broken() as error:
                gone(self.path, error)
            except ValueError as error:
                failed(f"what listens at {self.path} is no domwarden: {error}", "see `socket`")
        if response.status >= _BAD_REQUEST:
            self._raise(found)
        return found

    def events(self, where: str, after: int = 0) -> Iterator[tuple[int, str, Any]]:
        """Yield a stream's events, each with its number and kind.

        The first one has the kind "open": from then on nothing is missed. "" says that it lives.

        Those up to the number ``after`` are left out. Raises LostError where the connection breaks.
        https://html.spec.whatwg.org/multipage/server-sent-events.html
        """
        with self._open() as connected:
            try:
                _send(connected, "GET", where, None, **{"Last-Event-ID": str(after)})
                with self._answer(connected, "GET") as response:
                    connected.settimeout(SILENCE_SECONDS)
                    if response.status >= _BAD_REQUEST:
                        problem = json.loads(response.read())
                        if problem["code"] == "stopping":  # it is gone in a moment
                            raise LostError
                        self._raise(problem)
                    yield 0, "open", None
                    yield from _parsed(response)
            except TimeoutError as error:
                hangs(self.path, error)
            except _broken() as error:
                raise LostError from error

    def _raise(self, problem: Any) -> NoReturn:
        """Raise what a problem means."""
        if not isinstance(problem, dict):
            failed(f"what listens at {self.path} is no domwarden", "see `socket`")
        from domwarden.client.problems import error_of  # here, because it loads the contract

        raise error_of(problem)

    def _open(self) -> socket.socket:
        connected, self._connected = self._connected, None
        if connected is not None:
            return connected
        try:
            return connect(self.path)
        except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError) as error:
            gone(self.path, error)
        except OSError as error:
            hangs(self.path, error)

    def _answer(self, connected: socket.socket, method: str) -> HTTPResponse:
        """Wait for an answer as long as the service takes new connections and answers them."""
        import http.client  # noqa: F401 - here: the service works while this loads

        while not select.select([connected], [], [], QUIET_SECONDS)[0]:
            with connect(self.path) as asked:
                _send(asked, "GET", "/v1/health", None)
                _read(asked, "GET").close()
        return _read(connected, method)


def _send(connected: socket.socket, method: str, where: str, body: Any, **headers: str) -> None:
    """Send a request (RFC 9112)."""
    data = b""
    if body is not None:
        data = json.dumps(body).encode()
        headers |= {"Content-Type": "application/json", "Content-Length": str(len(data))}
    head = [f"{method} {where} HTTP/1.1", "Host: domwarden"]
    head += [f"{name}: {value}" for name, value in headers.items()]
    connected.sendall("\r\n".join([*head, "", ""]).encode("ascii") + data)


def _read(connected: socket.socket, method: str) -> HTTPResponse:
    from http.client import HTTPResponse  # here, as said above

    response = HTTPResponse(connected, method=method)
    try:
        response.begin()
    except BaseException:
        response.close()
        raise
    return response


def _broken() -> tuple[type[Exception], ...]:
    from http.client import HTTPException  # here, as said above

    return (OSError, HTTPException)


def _parsed(response: HTTPResponse) -> Iterator[tuple[int, str, Any]]:
    number, kind, data = 0, "", ""
    while line := response.readline():
        name, _, value = line.decode().rstrip("\r\n").partition(":")
        value = value.removeprefix(" ")
        if name == "id":
            number = int(value)
        elif name == "event":
            kind = value
        elif name == "data":
            data += value
        elif not name and data:
            yield number, kind, json.loads(data)
            number, kind, data = 0, "", ""
        elif not name:
            yield 0, "", None

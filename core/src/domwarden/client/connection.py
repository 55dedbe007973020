"""One host's service: asked, and followed, with a limit to every wait."""

from __future__ import annotations

import http.client
import json
import select
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from domwarden.client.dialling import LIMIT_SECONDS, connect, failed, gone, hangs

#: After so long without an answer it is asked whether it lives.
QUIET_SECONDS = 5.0
#: A follower hears something every 15 s, if only that there is nothing new.
SILENCE_SECONDS = 60.0


class LostError(Exception):
    """The connection ended before everything was said."""


class _Connection(http.client.HTTPConnection):
    """HTTP over a socket that is connected already."""

    def __init__(self, connected: socket.socket) -> None:
        super().__init__("domwarden", timeout=LIMIT_SECONDS)
        self.sock = connected


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
        connection = self._open()
        try:
            self._send(connection, method, where, body)
            self._wait(connection.sock)
            response = connection.getresponse()
            found = json.loads(response.read())
        except TimeoutError as error:
            hangs(self.path, error)
        except (OSError, http.client.HTTPException) as error:
            gone(self.path, error)
        except ValueError as error:
            failed(f"what listens at {self.path} is no domwarden: {error}", "see `socket`")
        finally:
            connection.close()
        if response.status >= http.HTTPStatus.BAD_REQUEST:
            self._raise(found)
        return found

    def events(self, where: str, after: int = 0) -> Iterator[tuple[int, str, Any]]:
        """Yield a stream's events, each with its number and kind.

        The first one has the kind "open": from then on nothing is missed. "" says that it lives.

        Those up to the number ``after`` are left out. Raises LostError where the connection breaks.
        https://html.spec.whatwg.org/multipage/server-sent-events.html
        """
        connection = self._open()
        try:
            self._send(connection, "GET", where, None, **{"Last-Event-ID": str(after)})
            self._wait(connection.sock)
            connection.sock.settimeout(SILENCE_SECONDS)
            response = connection.getresponse()
            if response.status >= http.HTTPStatus.BAD_REQUEST:
                problem = json.loads(response.read())
                if problem["code"] == "stopping":  # it is gone in a moment
                    raise LostError
                self._raise(problem)
            yield 0, "open", None
            yield from _parsed(response)
        except TimeoutError as error:
            hangs(self.path, error)
        except (OSError, http.client.HTTPException) as error:
            raise LostError from error
        finally:
            connection.close()

    def _raise(self, problem: Any) -> NoReturn:
        """Raise what a problem means."""
        if not isinstance(problem, dict):
            failed(f"what listens at {self.path} is no domwarden", "see `socket`")
        from domwarden.client.problems import error_of  # here, because it loads the contract

        raise error_of(problem)

    def _open(self) -> _Connection:
        connected, self._connected = self._connected, None
        if connected is None:
            try:
                connected = connect(self.path)
            except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError) as error:
                gone(self.path, error)
            except OSError as error:
                hangs(self.path, error)
        return _Connection(connected)

    def _send(
        self, connection: _Connection, method: str, where: str, body: Any, **headers: str
    ) -> None:
        sent = None
        if body is not None:
            sent = json.dumps(body)
            headers["Content-Type"] = "application/json"
        connection.request(method, where, sent, headers)

    def _wait(self, answering: socket.socket) -> None:
        """Wait for an answer as long as the service takes new connections and answers them."""
        while not select.select([answering], [], [], QUIET_SECONDS)[0]:
            asked = _Connection(connect(self.path))
            try:
                asked.request("GET", "/v1/health")
                asked.getresponse()
            finally:
                asked.close()


def _parsed(response: http.client.HTTPResponse) -> Iterator[tuple[int, str, Any]]:
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

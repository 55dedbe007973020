"""One connection to the service: one request, within limits of time and size."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING, Any

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong

from domwarden.service.asking import BODY_BYTES
from domwarden.service.problems import CODES, CONTENT_TYPE, ProblemError

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

#: How long the head of a request may take to arrive.
HEAD_SECONDS = 10.0
#: How long an answer may take to be read.
ANSWER_SECONDS = 30.0
#: How long a refused sender is listened to, so that it reads why: a socket that is closed with
#: something unread in it is reset.
LINGER_SECONDS = 2.0
HEAD_BYTES = 32 * 1024
#: One line of a head.
LINE_BYTES = 8 * 1024
MOST_CONNECTIONS = 256


class Gate:
    """Counts the open connections."""

    def __init__(self, most: int = MOST_CONNECTIONS) -> None:
        self.most = most
        self.open = 0


class Connection(web.RequestHandler):
    """Takes one request and closes: nothing can be queued behind an answer."""

    def __init__(
        self, server: web.Server, gate: Gate, loop: asyncio.AbstractEventLoop, **more: Any
    ) -> None:
        super().__init__(
            server,
            loop=loop,
            tcp_keepalive=False,
            access_log=None,  # type: ignore[arg-type]  # its way to say: none
            auto_decompress=False,
            lingering_time=LINGER_SECONDS,
            max_line_size=LINE_BYTES,
            max_field_size=LINE_BYTES,
            **more,
        )
        self._gate = gate
        self._timer: asyncio.TimerHandle | None = None
        self._received_bytes = 0
        self._answering = False
        self._deaf = False
        self._refused = False
        #: aiohttp forgets its own as soon as it wants to close it, which waits for the reader.
        self._kept: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for a request, unless too many do."""
        super().connection_made(transport)
        assert isinstance(transport, asyncio.WriteTransport)
        self._kept = transport
        self._gate.open += 1
        if self._gate.open > self._gate.most:
            self._refuse("too-many", f"at most {self._gate.most} may be open")
            return
        self._later(HEAD_SECONDS, self._too_slow)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Count it out."""
        self._gate.open -= 1
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what is sent, up to what the largest request has."""
        if self._deaf:
            return
        self._received_bytes += len(data)
        if self._received_bytes > HEAD_BYTES + BODY_BYTES and not self._answering:
            code = "too-large" if b"\r\n\r\n" in data else "large-headers"
            self._refuse(code, f"a request has at most {HEAD_BYTES + BODY_BYTES} bytes")
        elif self._received_bytes > HEAD_BYTES + 2 * BODY_BYTES:
            self._deaf = True  # its answer is under way, and needs no more
        else:
            super().data_received(data)

    def begin(self) -> None:
        """A request has come whose answer is being made.

        Raises ConnectionError where it was refused a moment before.
        """
        if self._refused:
            raise ConnectionError("it was answered already")
        self._answering = True
        if self._timer is not None:
            self._timer.cancel()

    def end(self) -> None:
        """The answer is made; whoever does not read it is left."""
        self._later(ANSWER_SECONDS, self._abort)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is no HTTP."""
        self.begin()
        self.end()
        if isinstance(exc, LineTooLong):
            problem = ProblemError("large-headers", f"a line has at most {LINE_BYTES} bytes")
        elif status < 500:
            problem = ProblemError("bad-request", "this is no HTTP that can be read")
        else:
            logger.error("an answer failed", exc_info=exc)
            problem = ProblemError("internal", "see the service's log")
        if request.writer.output_size > 0:
            raise ConnectionError("an answer was begun already")
        return problem_response(problem)

    def _too_slow(self) -> None:
        self._refuse("too-slow", f"no whole request came in {HEAD_SECONDS:g} s")

    def _refuse(self, code: str, detail: str) -> None:
        """Answer without a request."""
        self._deaf = self._refused = True
        if self._kept is not None:
            self._kept.write(_raw(ProblemError(code, detail)))
        self._later(LINGER_SECONDS, self._abort)

    def _abort(self) -> None:
        if self._kept is not None:
            self._kept.abort()

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(seconds, act)


def problem_response(problem: ProblemError, **headers: str) -> web.Response:
    """Make the answer that is a problem."""
    response = web.json_response(
        problem.as_json(), status=problem.status, content_type=CONTENT_TYPE, headers=headers
    )
    response.force_close()
    return response


def _raw(problem: ProblemError) -> bytes:
    status, _ = CODES[problem.code]
    body = json.dumps(problem.as_json()).encode()
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: {CONTENT_TYPE}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body

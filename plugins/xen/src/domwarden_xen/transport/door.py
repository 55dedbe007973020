"""Where the destination's shim is called on: the one who is expected comes in, strangers do not."""

from __future__ import annotations

import hmac
import json
import socket
from collections.abc import Callable, Sequence

from .frames import Kind
from .link import Link
from .loop import READ, Loop

#: So long anybody may take to say who it is: the source's shim says it at once, on a host that may
#: be loaded.
HELLO_SECONDS = 60.0
#: So many may be at it at a time; who has taken longest goes.
MOST_STRANGERS = 16


class Door:
    """Listens until one has come who knows the move's id and its token.

    ``secure`` makes a link of what has connected; ``come`` is given the one that came in, and
    ``say`` why somebody was sent away. Nobody is told anything before he is known.
    """

    def __init__(
        self,
        loop: Loop,
        host: str,
        ports: Sequence[int],
        *,
        move: str,
        token: str,
        link: Callable[[socket.socket], Link],
        come: Callable[[Link], None],
        say: Callable[[str], None],
    ) -> None:
        self._loop = loop
        self._move = move
        self._token = token
        self._link = link
        self._come = come
        self._say = say
        self._strangers: dict[Link, str] = {}
        self._socket: socket.socket | None = _listening(host, ports)
        self.port: int = self._socket.getsockname()[1]

    def open(self) -> None:
        """Let people knock."""
        if self._socket is not None:
            self._loop.want(self._socket.fileno(), READ, self._accept)

    def close(self) -> None:
        """Listen no longer, and send away who has not shown himself."""
        if self._socket is not None:
            self._loop.want(self._socket.fileno(), READ, None)
            self._socket.close()
            self._socket = None
        for link in list(self._strangers):
            self._refuse(link, "the move's source came first")

    def _accept(self) -> None:
        assert self._socket is not None
        try:
            sock, (address, *_) = self._socket.accept()
        except OSError:
            return
        if len(self._strangers) >= MOST_STRANGERS:
            self._refuse(next(iter(self._strangers)), "others came before it had said who it is")
        link = self._link(sock)
        self._strangers[link] = address
        link.tell(
            lambda kind, body: self._hear(link, kind, body), lambda why: self._refuse(link, why)
        )
        self._loop.after(
            HELLO_SECONDS,
            lambda: self._refuse(link, f"it has not said who it is in {HELLO_SECONDS:g} s"),
        )

    def _hear(self, link: Link, kind: Kind, body: bytes) -> None:
        if kind is not Kind.HELLO or not _same(body, self._move, self._token):
            self._refuse(link, "it does not know the move that is expected here")
        elif self._strangers.pop(link, None) is not None:
            self.close()
            self._come(link)

    def _refuse(self, link: Link, why: str) -> None:
        address = self._strangers.pop(link, None)
        if address is not None:
            self._say(f"refused {address}: {why}")
            link.close()


def _listening(host: str, ports: Sequence[int]) -> socket.socket:
    """Listen on the first port that is free; raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    problem: OSError | None = None
    for port in ports:
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((host, port))
            sock.listen(MOST_STRANGERS)
        except OSError as error:
            problem = error
            sock.close()
            continue
        sock.setblocking(False)
        return sock
    raise problem or OSError("no port is given")


def _same(body: bytes, move: str, token: str) -> bool:
    try:
        hello = json.loads(body)
        known = hello["migration"] == move
        return known and hmac.compare_digest(str(hello["token"]), token)
    except (ValueError, KeyError, TypeError):
        return False

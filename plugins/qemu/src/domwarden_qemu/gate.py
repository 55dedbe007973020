"""Where the destination waits for its source's connection: whoever else comes harms nothing.

A QEMU that listens by itself ends with the first stranger who sends it anything (7.2).  So this
process listens, lets in who says the word that only the source was told, and gives QEMU the
connection; it dies with this process, whose move cannot go on then either.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import secrets
import socket

from domwarden.contract import EngineError

logger = logging.getLogger(__name__)

#: How long who connects may take to say the word.
WORD_SECONDS = 5.0
#: So many may be about to say it; one more, and who has taken longest is dropped.
MOST_STRANGERS = 32
#: How long nobody is let in after the system refused to.
_PAUSE_SECONDS = 1.0


class Gate:
    """One listening socket for one move."""

    def __init__(self, host: str, ports: tuple[int, int]) -> None:
        #: What the source says first: 256 bits, told to it through the wardens' own link.
        self.word = secrets.token_hex(32)
        self._socket = _bound(host, ports)
        self._strangers: dict[asyncio.Task[None], str] = {}

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._socket.getsockname()[1])

    async def source(self) -> socket.socket:
        """Return the connection of who says the word; closes the gate behind it."""
        came: asyncio.Future[socket.socket] = asyncio.get_running_loop().create_future()
        accepting = asyncio.create_task(self._accept(came), name=f"gate/{self.port}")
        try:
            return await came
        finally:
            tasks = [accepting, *self._strangers]
            for task in tasks:
                task.cancel()
            self.close()
            await asyncio.gather(*tasks, return_exceptions=True)

    def close(self) -> None:
        """Stop listening; idempotent."""
        self._socket.close()

    async def _accept(self, came: asyncio.Future[socket.socket]) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                client, address = await loop.sock_accept(self._socket)
            except OSError as error:
                logger.error("no stream is let in: %s", error)  # noqa: TRY400 - the reason is all there is
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            if len(self._strangers) >= MOST_STRANGERS:
                slowest = next(iter(self._strangers))
                logger.warning("refused %s: too many came after it", self._strangers.pop(slowest))
                slowest.cancel()
            where = f"{address[0]}, port {address[1]}"
            task = asyncio.create_task(self._meet(client, where, came), name=f"gate/{where}")
            self._strangers[task] = where
            task.add_done_callback(lambda task: self._strangers.pop(task, None))

    async def _meet(
        self, client: socket.socket, where: str, came: asyncio.Future[socket.socket]
    ) -> None:
        kept = False
        try:
            async with asyncio.timeout(WORD_SECONDS):
                said = await _exactly(client, len(self.word))
            kept = hmac.compare_digest(said, self.word.encode()) and not came.done()
            if kept:
                came.set_result(client)
            else:
                logger.warning("refused %s: it is not the source of this stream", where)
        except (OSError, EOFError) as error:  # a time-out is one, too
            what = str(error) or "it did not say who it is"
            logger.warning("refused %s: %s", where, what)
        finally:
            if not kept:
                client.close()


async def _exactly(client: socket.socket, count: int) -> bytes:
    """Read so many bytes and no more: what follows is for QEMU."""
    loop, said = asyncio.get_running_loop(), b""
    while len(said) < count:
        more = await loop.sock_recv(client, count - len(said))
        if not more:
            raise EOFError
        said += more
    return said


def _bound(host: str, ports: tuple[int, int]) -> socket.socket:
    """Listen at the first free port; raises EngineError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    first, last = ports
    failed: OSError | None = None
    for port in range(first, last + 1):
        try:
            sock = socket.create_server((host, port), family=family, backlog=MOST_STRANGERS)
        except OSError as error:
            failed = error
        else:
            sock.setblocking(False)
            return sock
    raise EngineError(
        f"no stream can be listened for at {host}: {failed and failed.strerror}",
        hint="correct `listen` or `migration_ports` of qemu in the host file",
    )

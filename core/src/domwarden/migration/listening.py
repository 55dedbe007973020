"""Where a host's peers reach it: the listening end of TLS connections."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

from domwarden.contract import DomwardenError, PermanentError, tls
from domwarden.migration import wire
from domwarden.migration.answering import answer, stay
from domwarden.migration.emptying import NOBODY, Emptying
from domwarden.migration.hub import Hub
from domwarden.migration.site import Ports

if TYPE_CHECKING:
    from domwarden.config import Address, HostFile

logger = logging.getLogger(__name__)

#: How long a client may take to show who it is.
HANDSHAKE_SECONDS = 10.0
#: So many may be about to show it; one more, and who has taken longest is dropped.
MOST_STRANGERS = 32
_SHUTDOWN_SECONDS = 5.0
_BACKLOG = 128
#: How long nobody is let in after the system refused to.
_PAUSE_SECONDS = 1.0


@contextlib.asynccontextmanager
async def listening(
    host_file: HostFile, make_ports: Callable[[], Ports] = Ports, emptying: Emptying = NOBODY
) -> AsyncIterator[Listener]:
    """Answer peers for as long as the context lasts; its end leaves what is unfinished to recovery.

    ``emptying`` empties this host when a peer asks that may.
    Raises PermanentError where it cannot listen, or its files do not serve.
    """
    from domwarden.config import Address  # here: it is not needed to import this module

    context = await asyncio.to_thread(tls.context, host_file.host.credentials, server=True)
    with contextlib.ExitStack() as sockets:
        bound = [sockets.enter_context(each) for each in await _bound(host_file.listen)]
        async with asyncio.TaskGroup() as group:
            listener = Listener(host_file, make_ports, context, group, emptying)
            listener.addresses = [Address(*each.getsockname()[:2]) for each in bound]
            accepting = [
                group.create_task(listener.accept(each), name=f"link/accept/{each.fileno()}")
                for each in bound
            ]
            try:
                yield listener
            finally:
                for task in (*accepting, *listener.tasks):
                    task.cancel()


class Listener:
    """Lets peers in, each of which a hub of its own answers, as ``domwarden peer`` would.

    Who is no peer gets no byte of the protocol and is told of in one line of the log.
    """

    def __init__(
        self,
        host_file: HostFile,
        make_ports: Callable[[], Ports],
        context: ssl.SSLContext,
        group: asyncio.TaskGroup,
        emptying: Emptying,
    ) -> None:
        self._host_file = host_file
        self._make_ports = make_ports
        self._context = context
        self._group = group
        self._emptying = emptying
        #: Where it listens.
        self.addresses: list[Address] = []
        #: Every client that is here, and those whose rest is being settled.
        self.tasks: set[asyncio.Task[None]] = set()
        # In the order in which they came.
        self._strangers: dict[asyncio.Task[None], str] = {}
        self._settling: set[str] = set()

    async def accept(self, sock: socket.socket) -> None:
        """Let clients in for ever."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                client, address = await loop.sock_accept(sock)
            except OSError as error:
                logger.error("nobody is let in: %s", tls.why(error))  # noqa: TRY400 - the reason is all there is
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            where = f"{address[0]}, port {address[1]}"
            task = self._group.create_task(self._meet(client, where), name=f"link/{where}")
            self._drop_slowest()
            self._strangers[task] = where
            self.tasks.add(task)
            task.add_done_callback(self._gone)
            await asyncio.sleep(0)  # a full queue is accepted without waiting: let others go on

    def _drop_slowest(self) -> None:
        if len(self._strangers) < MOST_STRANGERS:
            return
        slowest = next(iter(self._strangers))
        logger.warning(
            "refused %s: %d others came before it had shown who it is",
            self._strangers.pop(slowest),
            MOST_STRANGERS,
        )
        slowest.cancel()

    def _gone(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        self._strangers.pop(task, None)

    async def _meet(self, client: socket.socket, where: str) -> None:
        """Find out who it is, answer it, settle what it leaves."""
        try:
            async with asyncio.timeout(HANDSHAKE_SECONDS):
                reader, writer = await self._shake_hands(client)
        except TimeoutError:
            why = f"it has not shown who it is in {HANDSHAKE_SECONDS:g} s"
            logger.warning("refused %s: %s", where, why)
            return
        except OSError as error:
            logger.warning("refused %s: %s", where, tls.why(error))
            return
        except Exception:  # whatever a stranger may have found, the others stay
            logger.exception("refused %s", where)
            return
        if (me := asyncio.current_task()) is not None:
            self._strangers.pop(me, None)
        named = tls.names(writer.get_extra_info("peercert"))
        peers = sorted(named & set(self._host_file.peers))
        if len(peers) == 1:
            await self._answer(peers[0], reader, writer)
            return
        writer.close()
        what = ", ".join(map(repr, sorted(named))) or "nobody"
        of = "more than one peer" if peers else "no peer"
        logger.warning("refused %s: its certificate names %s, %s of this host", where, what, of)

    async def _shake_hands(
        self, client: socket.socket
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        # Not by asyncio.start_server, which tells nobody of a failed handshake.
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=wire.LIMIT_BYTES)
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _ = await loop.connect_accepted_socket(
            lambda: protocol,
            client,
            ssl=self._context,
            ssl_handshake_timeout=HANDSHAKE_SECONDS,
            ssl_shutdown_timeout=_SHUTDOWN_SECONDS,
        )
        return reader, asyncio.StreamWriter(transport, protocol, reader, loop)

    async def _answer(
        self, peer: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            left = await answer(self._hub(peer), reader, writer) - self._settling
            if left:
                await self._settle(left)
        except DomwardenError as error:
            logger.error("%s was not answered: %s", peer, error)  # noqa: TRY400 - expected: one line
        except Exception:  # one client's bug must not end the others'
            logger.exception("%s was not answered", peer)
        finally:
            writer.close()

    async def _settle(self, domains: set[str]) -> None:
        self._settling |= domains
        try:
            await stay(self._hub, domains)
        finally:
            self._settling -= domains

    def _hub(self, client: str = "") -> Hub:
        return Hub(self._host_file, self._make_ports(), client=client, emptying=self._emptying)


async def _bound(address: Address) -> list[socket.socket]:
    """Open the sockets to listen on; raises PermanentError."""
    opened: list[socket.socket] = []
    failed: OSError | None = None
    try:
        found = await asyncio.get_running_loop().getaddrinfo(
            address.host or None, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except OSError as error:
        found, failed = [], error
    for family, _, _, _, where in dict.fromkeys(found):
        try:
            opened.append(socket.create_server(where[:2], family=family, backlog=_BACKLOG))
        except OSError as error:
            failed = error
    # A machine may lack one family of addresses; one that the file names must be there.
    if failed is not None and (address.host or not opened):
        for sock in opened:
            sock.close()
        raise PermanentError(
            f"peers cannot be listened for at {address}: {tls.why(failed)}",
            hint="correct `listen` in the host file",
        ) from failed
    for sock in opened:
        sock.setblocking(False)
        # What it accepts has this, too. asyncio sets it only where the protocol was named, and an
        # answer that follows a moment would wait 40 ms for the peer's delayed ACK.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return opened

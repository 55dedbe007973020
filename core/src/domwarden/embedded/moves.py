"""What the hypervisor does for a domain that moves, on either end."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

from domwarden.contract import (
    Address,
    Definition,
    EngineError,
    GuestStoppedError,
    Host,
    OnProgress,
    PermanentError,
    Refusal,
    Room,
    RunState,
    Stream,
    stream_at,
)
from domwarden.embedded.copies import Copy
from domwarden.embedded.hypervisor import Hypervisor
from domwarden.embedded.sockets import listen_unix
from domwarden.embedded.stream.channel import (
    HANDSHAKE_SECONDS,
    SocketChannel,
    connect,
    open_file,
)
from domwarden.embedded.stream.receive import Receiving
from domwarden.embedded.stream.send import Sending

logger = logging.getLogger(__name__)

_LIVE = (RunState.RUNNING, RunState.PAUSED)


class Moves:
    """Both halves of every move; all state is in the hypervisor's copies."""

    def __init__(self, hypervisor: Hypervisor) -> None:
        self._hypervisor = hypervisor

    # ---- the source -------------------------------------------------------------------------

    def blockers(self, host: Host, name: str) -> list[Refusal]:
        """Return why the domain could not move now."""
        copy = self._hypervisor.find(host, name)
        state = copy.machine.state if copy else RunState.ABSENT
        if state in _LIVE:
            return []
        return [Refusal("not-running", f"the domain is {state}", "start it first", host=host.name)]

    async def precopy(
        self,
        host: Host,
        definition: Definition,
        migration: str,
        address: Address,
        progress: OnProgress,
        peer: str = "",
    ) -> None:
        """Copy the running domain until the rest fits into the downtime limit."""
        copy = self._hypervisor.copy(host, definition.name)
        if copy.machine.state not in _LIVE:
            raise EngineError(f"domain {definition.name!r} is {copy.machine.state}")
        if copy.sending is not None:
            copy.sending.close()
        copy.sending = Sending(
            copy.machine, self._hypervisor.clock, migration, definition.migration
        )
        copy.sending.ran = copy.machine.state is RunState.RUNNING
        await copy.sending.precopy(lambda limit: connect(address, limit, host, peer), progress)

    def suspend(self, host: Host, name: str, migration: str) -> None:
        """Stop the domain for its move; idempotent."""
        copy = self._sending(host, name, migration)
        if copy.machine.state is RunState.SUSPENDED:
            return
        if copy.machine.state not in _LIVE:
            raise EngineError(f"domain {name!r} is {copy.machine.state}: it cannot be suspended")
        ran = copy.sending is not None and copy.sending.ran
        if ran and copy.machine.state is RunState.PAUSED:
            raise GuestStoppedError(
                f"domain {name!r} was stopped while it was copied",
                hint="see `domwarden status`; resume it, or migrate it paused",
            )
        with self._hypervisor.changing(copy) as machine:
            machine.become(RunState.SUSPENDED, "migrating")
        if copy.sending is not None:
            copy.sending.suspended_ns = self._hypervisor.clock.now_ns()

    async def complete(self, host: Host, name: str, migration: str, progress: OnProgress) -> None:
        """Send the rest; the copy is DEPARTED afterwards."""
        copy = self._sending(host, name, migration)
        if copy.machine.state is RunState.DEPARTED:
            return
        if copy.machine.state is not RunState.SUSPENDED or copy.sending is None:
            raise EngineError(f"domain {name!r} is {copy.machine.state}, not suspended")
        await copy.sending.complete(progress)

    def downtime_seconds(self, host: Host, name: str, migration: str) -> float | None:
        """Return how long the domain stood still until its stream was complete."""
        sending = self._sending(host, name, migration).sending
        return sending.downtime_seconds if sending is not None else None

    def abort(self, host: Host, name: str, migration: str, *, resume: bool) -> None:
        """Give the move up; a domain that it suspended runs again, or is paused."""
        copy = self._hypervisor.copy(host, name)
        if copy.sending is not None:
            if copy.sending.migration != migration:
                raise EngineError(f"domain {name!r} moves by {copy.sending.migration!r}")
            copy.sending.close()
            # A later move that is aborted before its pre-copy has no sending of its own.
            copy.sending = None
        if copy.machine.state in (RunState.SUSPENDED, RunState.DEPARTED):
            with self._hypervisor.changing(copy) as machine:
                machine.become(RunState.RUNNING if resume else RunState.PAUSED)
        if copy.machine.state not in _LIVE:
            raise EngineError(f"domain {name!r} is {copy.machine.state}: it cannot come back")

    def _sending(self, host: Host, name: str, migration: str) -> Copy:
        copy = self._hypervisor.copy(host, name)
        if copy.sending is None or copy.sending.migration != migration:
            raise EngineError(f"domain {name!r} has no outgoing move {migration!r}")
        return copy

    # ---- the destination --------------------------------------------------------------------

    async def listen(
        self,
        host: Host,
        definition: Definition,
        room: Room,
        migration: str,
        source: Address | None,
        peer: str = "",
    ) -> Address:
        """Create a held copy that waits for the stream."""
        old = self._hypervisor.find(host, definition.name)
        if old is not None and old.incoming_migration == migration and old.receiving is not None:
            return old.address
        if old is not None and old.machine.state is RunState.ENDED:
            self._hypervisor.destroy(old)
        channel = await open_file(Path(source["file"])) if source is not None else None
        copy = self._hypervisor.create(host, definition, room)
        copy.incoming_migration = migration
        expected = migration if source is None else None
        copy.receiving = Receiving(copy.machine, expected, definition.migration.timeout_seconds)
        if channel is not None:
            task = asyncio.create_task(copy.receiving.run(channel), name=f"{migration}/receive")
            copy.keep(task)
            copy.address = dict(source or {})
            return copy.address
        try:
            await self._serve(host, copy, peer)
        except (OSError, PermanentError) as error:
            self._hypervisor.destroy(copy)
            raise EngineError(f"cannot listen for the stream: {error}") from error
        return copy.address

    async def _serve(self, host: Host, copy: Copy, peer: str) -> None:
        address = host.settings("embedded").get("listen")
        stream = stream_at(host, address or "")

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if stream is not Stream.TLS or _is(peer, writer):
                await self._accept(copy, SocketChannel(reader, writer))

        if address is not None:
            copy.server = await asyncio.start_server(
                accept, address, 0, **await _secured(host, stream)
            )
            port = copy.server.sockets[0].getsockname()[1]
            copy.address = {"tcp": [address, port], "stream": stream}
            return
        path = host.domain_directory(copy.machine.name) / "incoming.sock"
        sock = await listen_unix(path)
        copy.server = await asyncio.start_unix_server(accept, sock=sock)
        copy.address = {"unix": str(path)}

    async def received(self, host: Host, name: str, migration: str, timeout_seconds: float) -> None:
        """Wait until the whole stream has arrived."""
        copy = self._receiving(host, name, migration)
        assert copy.receiving is not None  # _receiving has seen it
        try:
            async with asyncio.timeout(timeout_seconds):
                await asyncio.shield(copy.receiving.done)
        except TimeoutError:
            raise EngineError(f"the stream did not arrive within {timeout_seconds:g} s") from None

    def activate(self, host: Host, name: str, migration: str, *, run: bool) -> None:
        """Take ownership of a received copy; idempotent."""
        copy = self._receiving(host, name, migration)
        if copy.machine.state is RunState.RECEIVED:
            with self._hypervisor.changing(copy) as machine:
                machine.become(RunState.RUNNING if run else RunState.PAUSED)
        elif copy.machine.state not in _LIVE:
            raise EngineError(f"domain {name!r} is {copy.machine.state}: it cannot be activated")
        elif run and copy.machine.state is RunState.PAUSED:
            self._hypervisor.resume(host, name)

    def discard(self, host: Host, name: str, migration: str) -> None:
        """Destroy a copy that was never activated, or is being made; idempotent."""
        self._hypervisor.makings.end(host, name, migration)
        copy = self._hypervisor.find(host, name)
        if copy is None or copy.incoming_migration != migration:
            return
        if copy.machine.activated:
            raise EngineError(f"domain {name!r} was activated here: it is not discarded")
        self._hypervisor.destroy(copy)

    def _receiving(self, host: Host, name: str, migration: str) -> Copy:
        copy = self._hypervisor.copy(host, name)
        if copy.receiving is None or copy.incoming_migration != migration:
            raise EngineError(f"domain {name!r} has no incoming move {migration!r}")
        return copy

    async def _accept(self, copy: Copy, channel: SocketChannel) -> None:
        if copy.server is None or copy.receiving is None:
            channel.close()
            return
        copy.server.close()  # one stream a copy
        copy.server = None
        task = asyncio.current_task()
        if task is not None:
            copy.keep(task)
        try:
            await copy.receiving.run(channel)
        except asyncio.CancelledError:
            return  # destroyed; a server of Python 3.11 would log the cancellation as an error


async def _secured(host: Host, stream: Stream) -> dict[str, Any]:
    """Return what makes a server speak TLS, if it shall; raises PermanentError."""
    if stream is not Stream.TLS:
        return {}
    from domwarden.contract import tls  # here: OpenSSL costs start-up time

    context = await asyncio.to_thread(tls.context, host.credentials, server=True)
    return {"ssl": context, "ssl_handshake_timeout": HANDSHAKE_SECONDS}


def _is(peer: str, writer: asyncio.StreamWriter) -> bool:
    """Say whether who connected is that host; the connection of anybody else is closed."""
    from domwarden.contract import tls  # as above

    try:
        tls.require(writer.get_extra_info("peercert"), peer)
    except PermanentError as error:
        logger.warning("refused %s: %s", writer.get_extra_info("peername"), error)
        writer.close()
        return False
    return True

"""The way to a peer on another machine: its answers on the other end of a stream."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from domwarden.contract import TransientError, tls
from domwarden.migration import wire
from domwarden.migration.command import Reached
from domwarden.migration.conversation import Conversation
from domwarden.migration.link import Link, Message
from domwarden.migration.moments import Observer

#: How long it may take until the peer greets: a login, and Python on a busy host.
START_SECONDS = 30.0
#: How long it may take after it did not greet: a guest may stand still meanwhile.
AGAIN_SECONDS = 10.0
#: How long a peer may take to end by itself.
CLOSE_SECONDS = 10.0
#: How long one that fell silent may take: it is ended then.
_LOST_SECONDS = 2.0

#: Opens a stream to the peer; raises DomwardenError.
Reach = Callable[[], Awaitable[Reached]]


class PeerLink(Link):
    """Reaches the peer with the first message, and again with the next one after that ended."""

    def __init__(
        self,
        peer: str,
        reach: Reach,
        observer: Observer,
        *,
        silence_seconds: float | None = None,
    ) -> None:
        self._peer = peer
        self._reach = reach
        self._observer = observer
        self._connecting = asyncio.Lock()
        self._silence_seconds = silence_seconds or wire.SILENCE_SECONDS
        #: A peer that may be silent for long is slow to greet, too.
        self._slowness = self._silence_seconds / wire.SILENCE_SECONDS
        self._patience_seconds = START_SECONDS * self._slowness
        self._reached: Reached | None = None
        self._conversation: Conversation | None = None
        #: Ends what hung; goes on when whoever waits for it has no more time.
        self._dropping: asyncio.Task[None] | None = None

    async def send(self, message: Message) -> Mapping[str, Any]:
        """Have the peer do it; raises also TransientError for a peer that cannot be reached."""
        return await (await self._connected()).ask(message)

    async def reach(self) -> None:
        """Reach the peer ahead of the first message."""
        await self._connected()

    def forget(self, migration: str) -> None:
        """Let the peer's end of a move go."""
        if self._conversation is not None:
            self._conversation.forget(migration)

    async def aclose(self) -> None:
        """End the conversation; a peer that does not end by itself is ended."""
        if self._dropping is not None:
            await self._dropping
        conversation, self._conversation = self._conversation, None
        reached, self._reached = self._reached, None
        if conversation is not None:
            await conversation.aclose()
        if reached is not None:
            await reached.end(CLOSE_SECONDS)

    async def _connected(self) -> Conversation:
        async with self._connecting:
            if self._conversation is None or self._conversation.ended:
                await self._drop()
                self._conversation = await self._connect()
            return self._conversation

    async def _drop(self) -> None:
        """End what hangs: it may hold a domain's lock over there."""
        if self._dropping is None:
            self._dropping = asyncio.create_task(self._end(), name=f"{self._peer}/link/drop")
        dropping = self._dropping
        try:
            await asyncio.shield(dropping)
        finally:
            if dropping.done():
                self._dropping = None

    async def _end(self) -> None:
        conversation, self._conversation = self._conversation, None
        reached, self._reached = self._reached, None
        if conversation is not None:
            await conversation.aclose()
        if reached is not None:
            await reached.end(_LOST_SECONDS)

    async def _connect(self) -> Conversation:
        reached = await self._reach()
        try:
            said = await wire.read(reached.reader, self._patience_seconds)
            if said is None:
                raise TransientError(
                    f"{self._peer} cannot be reached: {await reached.last_words()}",
                    hint=reached.remedy,
                )
            wire.check_greeting(said, self._peer)
        except (OSError, wire.FrameError) as error:  # TimeoutError is an OSError, too
            await reached.end(0.0)
            why = tls.why(error)
            if isinstance(error, TimeoutError):
                why = f"no greeting in {self._patience_seconds:g} s"
            self._patience_seconds = AGAIN_SECONDS * self._slowness
            raise TransientError(
                f"{self._peer} cannot be reached: {why}",
                hint=reached.remedy,
            ) from error
        except BaseException:
            await reached.end(0.0)
            raise
        self._patience_seconds = START_SECONDS * self._slowness
        self._reached = reached
        return Conversation(
            self._peer, reached.reader, reached.writer, self._observer, self._silence_seconds
        )

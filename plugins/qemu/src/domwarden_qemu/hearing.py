"""Hearing what one QEMU tells by itself, until its connection is lost."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Any

from qemu.qmp import EventListener, Message, QMPClient, QMPError, Runstate

from domwarden.contract import OutcomeUnknownError

#: Whoever listens looks at the connection's state this often, whatever woke it or did not.
LOOK_SECONDS = 5.0


class Heard(EventListener):
    """Events that have come and were not taken yet.

    Other than the library's listener it keeps no history, which grows for ever, and notices a
    connection that is lost.
    """

    def __init__(self, client: QMPClient, name: str, names: tuple[str, ...]) -> None:
        super().__init__(names or None)
        self._client = client
        self._name = name
        #: None wakes whoever waits, to look at the connection.
        self._heard: asyncio.Queue[Message | None] = asyncio.Queue()

    async def put(self, event: Message) -> None:
        """Keep the event until it is asked for."""
        if self.accept(event):
            self._heard.put_nowait(event)

    def take(self) -> list[Message]:
        """Return what waits, oldest first; never waits itself."""
        every = [self._heard.get_nowait() for _ in range(self._heard.qsize())]
        return [event for event in every if event is not None]

    async def next(self, seconds: float) -> Message | None:
        """Wait for the next event; None if there was none for so long.

        Raises OutcomeUnknownError when the connection is lost and nothing waits any more.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while True:
            if self._heard.empty() and self._client.runstate != Runstate.RUNNING:
                raise OutcomeUnknownError(f"{self._name}: the connection to QEMU was lost")
            event = None
            left = min(deadline - loop.time(), LOOK_SECONDS)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    event = await self._heard.get()
            if event is not None or loop.time() >= deadline:
                return event

    async def follow(self) -> AsyncIterator[Mapping[str, Any]]:
        """Give each event; raises OutcomeUnknownError when the connection is lost."""
        while True:
            event = await self.next(LOOK_SECONDS)
            if event is not None:
                yield event

    async def wake_at_the_end(self) -> None:
        """Wake whoever waits as soon as the connection is lost: the library would not."""
        if self._client.runstate == Runstate.RUNNING:
            await self._client.runstate_changed()
        self._heard.put_nowait(None)


@contextlib.asynccontextmanager
async def hearing(client: QMPClient, name: str, *names: str) -> AsyncGenerator[Heard, None]:
    """Collect the named events (all, without names) from the moment of entry."""
    heard = Heard(client, name, names)
    client.register_listener(heard)
    waking = asyncio.create_task(heard.wake_at_the_end(), name=f"{name}/qmp/state")
    try:
        yield heard
    finally:
        waking.cancel()
        await asyncio.gather(waking, return_exceptions=True)
        # A disconnect has removed it already.
        with contextlib.suppress(QMPError, ValueError):
            client.remove_listener(heard)

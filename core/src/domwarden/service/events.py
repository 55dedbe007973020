"""Hands on what happens to whoever follows it, and never waits for a follower."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

from domwarden.service.routes import Event

#: A follower that has so many events to read yet is let go, and told so.
MOST_WAITING = 1024

#: What a follower hears last that was too slow.
LOST = Event("lost", {"detail": "too slow a reader: come back with Last-Event-ID"})


class Follower:
    """The events that one follower has not read yet."""

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[Event] = asyncio.Queue(MOST_WAITING)
        self._lost = False

    def hear(self, event: Event) -> None:
        """Take one event; never waits."""
        try:
            self._waiting.put_nowait(event)
        except asyncio.QueueFull:
            self._lost = True

    async def events(self) -> AsyncIterator[Event]:
        """Yield what is heard, until some of it was lost."""
        while True:
            if self._lost and self._waiting.empty():
                yield LOST
                return
            yield await self._waiting.get()


class Bus:
    """All followers of one service."""

    def __init__(self) -> None:
        self._followers: set[Follower] = set()

    def tell(self, event: Event) -> None:
        """Hand an event to everybody."""
        for follower in self._followers:
            follower.hear(event)

    @contextlib.contextmanager
    def follower(self) -> Iterator[Follower]:
        """Follow until the context is left."""
        made = Follower()
        self._followers.add(made)
        try:
            yield made
        finally:
            self._followers.discard(made)

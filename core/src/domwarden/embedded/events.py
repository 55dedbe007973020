"""What happens to a machine, told to everybody who listens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

from domwarden.contract import Event, EventKind


class EventFeed:
    """The events of one machine; a listener hears what happens after it began to listen."""

    def __init__(self, unix_seconds: Callable[[], float]) -> None:
        self._unix_seconds = unix_seconds
        self._listeners: list[Callable[[Event], None]] = []

    def emit(self, kind: EventKind, **data: Any) -> None:
        """Tell all listeners; GONE is the last event of a machine."""
        event = Event(kind, self._unix_seconds(), data)
        for listener in tuple(self._listeners):
            listener(event)

    def listen(self, listener: Callable[[Event], None]) -> Callable[[], None]:
        """Call ``listener`` at every event; returns what ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def follow(self) -> AsyncIterator[Event]:
        """Listen from now on; the iterator ends after GONE."""
        queue: asyncio.Queue[Event] = asyncio.Queue()
        return _drain(queue, self.listen(queue.put_nowait))


async def _drain(queue: asyncio.Queue[Event], end: Callable[[], None]) -> AsyncIterator[Event]:
    try:
        while True:
            event = await queue.get()
            yield event
            if event.kind is EventKind.GONE:
                return
    finally:
        end()

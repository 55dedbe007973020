"""Waiting for QMP events without trusting that they arrive."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

from domwarden.contract import EngineError, QemuControl


class Wakeups:
    """Says when it is worth asking QEMU again; made by :func:`wakeups`."""

    def __init__(self, events: AsyncIterator[Mapping[str, Any]], name: str) -> None:
        self._events = events
        self._name = name
        self._next: asyncio.Task[Mapping[str, Any]] | None = None

    async def wait(self, seconds: float) -> None:
        """Return at the next event, or after ``seconds``: it may have come before we listened.

        Raises OutcomeUnknownError when the connection is lost.
        """
        if self._next is None:
            # Kept over several waits: cancelling it would end an iterator that is a generator.
            self._next = asyncio.create_task(self._fetch(), name=self._name)
        done, _ = await asyncio.wait({self._next}, timeout=seconds)
        if done:
            fetched, self._next = self._next, None
            fetched.result()

    async def close(self) -> None:
        """Stop listening."""
        if self._next is not None:
            self._next.cancel()
            await asyncio.wait({self._next})

    async def _fetch(self) -> Mapping[str, Any]:
        return await anext(self._events)


@contextlib.asynccontextmanager
async def wakeups(control: QemuControl, name: str, *events: str) -> AsyncIterator[Wakeups]:
    """Listen for the named events within the context; ``name`` is the waiting task's."""
    async with control.events(*events) as iterator:
        waiting = Wakeups(iterator, name)
        try:
            yield waiting
        finally:
            await waiting.close()


@contextlib.asynccontextmanager
async def within(seconds: float, what: str) -> AsyncIterator[None]:
    """Bound the context; raises EngineError that says what did not happen in time."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise EngineError(f"{what} within {seconds:g} s") from None

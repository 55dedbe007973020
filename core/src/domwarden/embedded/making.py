"""Copies in the making, which a call makes though nobody may wait for its answer any more."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import Iterator

from domwarden.contract import EngineError, Host, Observation, RunState


@dataclasses.dataclass(eq=False)
class _Making:
    task: asyncio.Task[object]
    #: The move that it is for; empty for a start.
    migration: str
    ended: bool = False


class Makings:
    """What is being made at this moment; at most one copy of a domain on a host.

    Devices take their time to be loaded, and a file to be opened. Who gave up waiting for that and
    then found the domain absent would close everything, and have a copy later.
    """

    def __init__(self) -> None:
        self._under_way: dict[tuple[str, str], _Making] = {}

    @contextlib.contextmanager
    def making(self, host: Host, name: str, migration: str = "") -> Iterator[None]:
        """Make a copy within; raises EngineError where one is made already, or when it is ended."""
        key = host.name, name
        if key in self._under_way:
            raise EngineError(f"domain {name!r} is being made here already")
        task = asyncio.current_task()
        assert task is not None  # every call is carried out in one
        cancelling = task.cancelling()
        mine = self._under_way[key] = _Making(task, migration)
        try:
            yield
        except asyncio.CancelledError:
            if mine.ended and task.uncancel() <= cancelling:
                raise EngineError(f"domain {name!r} was ended while it was made") from None
            raise
        finally:
            if self._under_way.get(key) is mine:
                del self._under_way[key]

    def observe(self, host: Host, name: str) -> Observation | None:
        """Look at a domain of which there is no live copy; None where none is being made."""
        mine = self._under_way.get((host.name, name))
        if mine is None:
            return None
        # An incoming copy waits for its stream; one that is started may run the next moment.
        state = RunState.INCOMING if mine.migration else RunState.UNKNOWN
        return Observation(state, "it is being made")

    def end(self, host: Host, name: str, migration: str | None = None) -> None:
        """End what is being made of a domain, or only what that move makes; idempotent.

        What its maker has made so far is the caller's to destroy: it takes no further step.
        """
        mine = self._under_way.get((host.name, name))
        if mine is None or migration not in (None, mine.migration):
            return
        del self._under_way[host.name, name]
        mine.ended = True
        mine.task.cancel()

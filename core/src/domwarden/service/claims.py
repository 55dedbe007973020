"""Who acts on which domain through this service."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

from domwarden.journal.holder import Holder
from domwarden.service.problems import ProblemError

#: Finds out which process holds a domain's lock.
Look = Callable[[str], Awaitable[Holder | None]]

#: So long the next one in turn waits at most.
TURN_SECONDS = 60.0
PAUSE_SECONDS = 0.1


class Claims:
    """One claim a domain, taken before anything is begun, so that the second caller hears of it.

    What protects the domain is its lock; this only says who is in the way, and says it early.
    """

    def __init__(self, look: Look) -> None:
        self._held: dict[str, str] = {}
        self._look = look

    def held(self, domain: str) -> str:
        """Return who holds a domain here, or nothing."""
        return self._held.get(domain, "")

    @contextlib.contextmanager
    def take(self, domain: str, what: str) -> Iterator[None]:
        """Hold the claim; raises ProblemError while another request does."""
        if domain in self._held:
            raise conflict(domain, self._held[domain])
        self._held[domain] = what
        try:
            yield
        finally:
            del self._held[domain]

    @contextlib.asynccontextmanager
    async def take_in_turn(self, domain: str, what: str) -> AsyncIterator[None]:
        """Hold the claim once it is free; raises ProblemError when that takes too long."""
        for _ in range(round(TURN_SECONDS / PAUSE_SECONDS)):
            if domain not in self._held:
                break
            await asyncio.sleep(PAUSE_SECONDS)
        with self.take(domain, what):
            yield

    async def free(self, domain: str) -> None:
        """Raise ProblemError while another process holds the domain's lock."""
        holder = await self._look(domain)
        if holder is not None:
            raise conflict(domain, str(holder))


def conflict(domain: str, holder: str) -> ProblemError:
    """Make the problem that names who is in the way."""
    return ProblemError(
        "conflict",
        f"{holder} acts on {domain}",
        hint="wait until it is done",
        domain=domain,
        holder=holder,
    )

"""Who acts on which domain through this service."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterator

from domwarden.journal.holder import Holder
from domwarden.service.problems import ProblemError

#: Finds out which process holds a domain's lock.
Look = Callable[[str], Awaitable[Holder | None]]


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

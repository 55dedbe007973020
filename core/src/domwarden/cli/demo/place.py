"""What the story asks of a host, and a host of this process that does it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from domwarden.cli.demo.guest import Guest, reach
from domwarden.contract import Definition, Expiry, PermanentError, Reading
from domwarden.migration import Moved, Observer
from domwarden.warden import Warden

DOMAIN = "web1"
POLL_SECONDS = 0.05


class Place(Protocol):
    """A host of the story; all methods raise DomwardenError."""

    @property
    def name(self) -> str:
        """The host's name."""

    async def start(self) -> None:
        """Start the domain."""

    async def stop(self) -> None:
        """End the domain, if it is here."""

    def guest(self) -> AbstractAsyncContextManager[Guest]:
        """Enter the company of the domain's guest."""

    async def expiry(self) -> Expiry:
        """Wait, for as long as it takes, until the domain's watchdog has fired."""

    async def plan(self, peer: str) -> tuple[int, float]:
        """Return how many refusals a move would meet, and the seconds of blackout predicted."""

    async def migrate(self, peer: str, observer: Observer) -> Moved:
        """Move the domain to a peer."""

    async def reading(self) -> Reading | None:
        """Return the domain's watchdog timer as seen from outside the guest."""


class Here:
    """A host whose warden is in this process."""

    def __init__(self, warden: Warden, definition: Definition) -> None:
        self._warden = warden
        self._definition = definition

    @property
    def name(self) -> str:
        """Its name in its host file."""
        return self._warden.host.name

    async def start(self) -> None:
        """Start the domain."""
        await self._warden.start(self._definition)

    async def stop(self) -> None:
        """End the domain, if it is here."""
        with contextlib.suppress(PermanentError):  # it is not on this host
            await self._warden.stop(DOMAIN)

    @contextlib.asynccontextmanager
    async def guest(self) -> AsyncIterator[Guest]:
        """Reach the guest through its engine."""
        async with reach(await self._warden.engine_of(DOMAIN), DOMAIN) as guest:
            yield guest

    async def expiry(self) -> Expiry:
        """Ask the journal."""
        while not (expiries := await self._warden.expiries(DOMAIN)):  # noqa: ASYNC110 - another process writes
            await asyncio.sleep(POLL_SECONDS)
        return expiries[0]

    async def plan(self, peer: str) -> tuple[int, float]:
        """Ask both ends."""
        plan = await self._warden.plan(DOMAIN, peer)
        return len(plan.refusals), plan.predicted_blackout_seconds

    async def migrate(self, peer: str, observer: Observer) -> Moved:
        """Move the domain."""
        return await self._warden.migrate(DOMAIN, peer, observer=observer)

    async def reading(self) -> Reading | None:
        """Look at the domain."""
        (status,) = await self._warden.status(DOMAIN)
        return status.watchdog

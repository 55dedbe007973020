"""Has a peer move everything off itself, and follows it over the link to that peer."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from domwarden.contract import OutcomeUnknownError, TransientError
from domwarden.migration.link import Link, Message

if TYPE_CHECKING:
    from domwarden.config import HostFile

LOOK_SECONDS = 1.0
#: So long a peer may be away that has begun: its service, or the network, may come back.
AWAY_SECONDS = 60.0

#: Called with the kind of an event and its data.
Hear = Callable[[str, Mapping[str, Any]], None]


class PeerEvacuation:
    """One evacuation of a peer; ``options`` are the body that its own API would take."""

    def __init__(
        self,
        link: Link,
        host: str,
        options: Mapping[str, Any],
        hear: Hear,
        *,
        clock: Callable[[], float] = time.monotonic,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self._link = link
        self._host = host
        self._options = options
        self._hear = hear
        self._clock = clock
        self._look_seconds = look_seconds
        # Chosen here, so that a repeated message begins nothing twice.
        self._id = uuid.uuid4().hex[:12]
        self._after = 0
        self._stopping = False
        self._told = asyncio.Event()

    def stop(self) -> None:
        """Have the peer begin no more moves; those under way go on to their end."""
        self._stopping = True
        self._told.set()

    async def run(self) -> Mapping[str, Any]:
        """Begin it and return the operation as it is at its end.

        Raises OutcomeUnknownError when the peer is away for too long: it goes on with it.
        """
        answer = await self._ask("begin")
        while True:
            for event in answer["events"]:
                self._after = event["number"]
                self._hear(event["kind"], event["data"])
            if not answer["events"]:
                operation: Mapping[str, Any] = answer["operation"]
                if operation["state"] != "running":
                    return operation
                await self._pause()
            # Said until it has ended, since any one message may be lost.
            answer = await self._ask("stop" if self._stopping else "look")

    async def _pause(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._look_seconds):
                await self._told.wait()
        self._told.clear()

    async def _ask(self, do: str) -> Mapping[str, Any]:
        body = {"do": do, "id": self._id, "after": self._after}
        if do == "begin":
            body["options"] = dict(self._options)
        begun, until = do != "begin", 0.0
        while True:
            try:
                return await self._link.send(Message("", "evacuate", body))
            except (OutcomeUnknownError, TransientError) as error:
                begun = begun or isinstance(error, OutcomeUnknownError)
                if not begun:
                    raise  # it was never reached
                until = until or self._clock() + AWAY_SECONDS
                if self._clock() > until:
                    hint = f"what was begun there goes on: see `domwarden status` on {self._host}"
                    raise OutcomeUnknownError(
                        f"{self._host} is away: {error.message}", hint=hint
                    ) from error
            await asyncio.sleep(self._look_seconds)


def link_to(host_file: HostFile, host: str) -> Link:
    """Return the way to a peer that has an address; nothing of this host's state is opened."""
    from domwarden.migration.dialling import Dialled  # here: it is not needed to define a verb
    from domwarden.migration.moments import ignore
    from domwarden.migration.peerlink import PeerLink

    peer, credentials = host_file.peers[host], host_file.host.credentials
    address = peer.address
    assert address is not None
    return PeerLink(
        host,
        lambda: Dialled.start(host, address, credentials),
        ignore,
        silence_seconds=peer.silence_seconds,
    )

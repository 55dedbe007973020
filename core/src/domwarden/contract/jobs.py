"""Work that a hook hands back instead of doing it."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from domwarden.contract.refusals import Refusal

#: What one end of a device hands to its other end: JSON, at most 64 KiB, without secrets.  A ticket
#: given at TEST may announce in ``blackout_seconds`` how long the device keeps the domain standing.
Ticket = Mapping[str, Any]

#: A TEST job returns refusals or a ticket; other jobs return a ticket or nothing.
JobResult = Ticket | Refusal | Sequence[Refusal] | None

#: The largest ticket, in bytes of JSON.
TICKET_LIMIT_BYTES = 64 * 1024


class JobContext(Protocol):
    """What a running job may say to the core."""

    def report(
        self, message: str = "", *, done: int | None = None, total: int | None = None
    ) -> None:
        """Say how far the job is; the job's time-out counts from the last report."""


@dataclasses.dataclass(frozen=True)
class Job:
    """An action that a hook decided on; the core journals, bounds, times and awaits it.

    ``run`` may be called twice after a crash and must then do no harm (idempotent).  It may raise
    ``TransientError(message, delay=seconds)`` to be tried again within ``timeout_seconds``, or
    ``PermanentError``; any other exception is reported as a bug of the driver's distribution.
    A domain file may replace ``timeout_seconds``, by device and step.
    """

    name: str
    run: Callable[[JobContext], Awaitable[JobResult]]
    timeout_seconds: float = 30.0

"""Follows what the service does at length, through restarts of the service, to its end."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn

from domwarden.client.connection import LostError, Service
from domwarden.client.dialling import listening

#: So long a service may be away: it is being restarted.
RESTART_SECONDS = 60.0
PAUSE_SECONDS = 0.25
#: So long something may wait for the other host or a person until nobody waits for it here.
WAITING_SECONDS = 60.0

#: Called with the kind of an event and its data.
Hear = Callable[[str, Mapping[str, Any]], None]


def follow(service: Service, where: str, hear: Hear) -> Any:
    """Hand on each event of a resource, and return the resource as it is at its end.

    Raises DomwardenError.
    """
    last: Mapping[str, Any] = {}
    waits_until = 0.0
    for kind, data in through_restarts(service, f"{where}/events"):
        if kind == "end":
            return data
        if kind == "state":
            last = data
            if data["problem"] is not None:  # what is left of it is not this caller's to wait for
                return data
        elif data is not None:
            hear(kind, data)
        if last.get("state") != "waiting":
            waits_until = time.monotonic() + WAITING_SECONDS
        elif time.monotonic() > waits_until:
            hint = "see what `domwarden status` says it waits for"
            _fail(f"nobody drives {where} any more", hint)
    raise AssertionError("such a stream ends with an end")


def through_restarts(service: Service, where: str) -> Iterator[tuple[str, Any]]:
    """Yield the kind and data of a stream's events, which is opened again where it breaks."""
    after, until = 0, 0.0
    while True:
        with contextlib.suppress(LostError):
            for number, kind, data in service.events(where, after):
                after, until = number or after, 0.0
                yield kind, data
        connected = None
        while connected is None:
            until = until or time.monotonic() + RESTART_SECONDS
            if time.monotonic() > until:
                _fail(f"the service at {service.path} has ended", "what moves goes on by itself")
            time.sleep(PAUSE_SECONDS)
            connected = listening(service.path)
        service = Service(service.path, connected)


def _fail(message: str, hint: str) -> NoReturn:
    from domwarden.contract import OutcomeUnknownError  # here, because it takes long to load

    raise OutcomeUnknownError(message, hint=hint)

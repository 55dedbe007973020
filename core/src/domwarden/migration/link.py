"""How one end of a move speaks to the other."""

from __future__ import annotations

import abc
import dataclasses
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from domwarden.contract import (
    BrokenError,
    ConflictError,
    DomwardenError,
    DriverError,
    EngineError,
    OutcomeUnknownError,
    PermanentError,
    Refusal,
    RefusedError,
)

#: Errors that keep their meaning on the way; anything else arrives as its nearest ancestor here.
_ERRORS: Mapping[str, Callable[[str], DomwardenError]] = {
    "BrokenError": BrokenError,
    "ConflictError": ConflictError,
    "DriverError": DriverError,
    "OutcomeUnknownError": OutcomeUnknownError,
    "EngineError": EngineError,
    "PermanentError": PermanentError,
}


@dataclasses.dataclass(frozen=True)
class Message:
    """One request to the other end, named by (migration, step); may arrive twice, or not at all."""

    migration: str
    step: str
    body: Mapping[str, Any] = dataclasses.field(default_factory=dict)


class Link(abc.ABC):
    """The way to one peer."""

    @abc.abstractmethod
    async def send(self, message: Message) -> Mapping[str, Any]:
        """Have the peer do it; returns its answer.

        Raises what the peer raised (a DomwardenError), or OutcomeUnknownError when there was no
        answer: the peer may have done it, so it is asked again or looked at.
        """

    async def reach(self) -> None:
        """Reach the peer ahead of the first message; raises what a message would."""
        return

    def forget(self, migration: str) -> None:
        """Let the peer's end of a move go, whose unfinished rest is in its journal; no waiting."""
        return

    async def aclose(self) -> None:
        """End the way; idempotent."""
        return


class LocalLink(Link):
    """The way to a peer in this process; what passes is made JSON as on a wire."""

    def __init__(self, answer: Callable[[Message], Awaitable[Mapping[str, Any]]]) -> None:
        self._answer = answer

    async def send(self, message: Message) -> Mapping[str, Any]:
        """Hand the message over and return the answer."""
        body = json.loads(json.dumps(message.body))
        try:
            answer = await self._answer(Message(message.migration, message.step, body))
            wire = json.dumps(answer)
        except DomwardenError as error:
            raise error_from_json(json.loads(json.dumps(error_as_json(error)))) from error
        received: Mapping[str, Any] = json.loads(wire)
        return received


def error_as_json(error: DomwardenError) -> dict[str, Any]:
    """Return an error as plain data."""
    kind = next((c.__name__ for c in type(error).__mro__ if c.__name__ in _ERRORS), "")
    data: dict[str, Any] = {"error": kind, "message": error.message, "hint": error.hint}
    if isinstance(error, RefusedError):
        data["refusals"] = [refusal.as_json() for refusal in error.refusals]
    return data


def error_from_json(data: Mapping[str, Any]) -> DomwardenError:
    """Rebuild an error from plain data."""
    if "refusals" in data:
        return RefusedError([Refusal.from_json(refusal) for refusal in data["refusals"]])
    error = _ERRORS.get(data["error"], PermanentError)(data["message"])
    error.hint = data["hint"]
    return error

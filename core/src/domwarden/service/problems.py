"""What went wrong as an RFC 9457 problem document."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from domwarden.contract import (
    BrokenError,
    ConfigError,
    ConflictError,
    DomwardenError,
    DriverError,
    EngineError,
    OutcomeUnknownError,
    RefusedError,
    TransientError,
)
from domwarden.migration import MoveFailedError

CONTENT_TYPE = "application/problem+json"

#: Code -> status and title; a code never changes its meaning.
CODES: Mapping[str, tuple[HTTPStatus, str]] = {
    "bad-request": (HTTPStatus.BAD_REQUEST, "This is no request that can be read"),
    "no-such-path": (HTTPStatus.NOT_FOUND, "Nothing is here"),
    "unknown-domain": (HTTPStatus.NOT_FOUND, "This host knows no such domain"),
    "unknown-migration": (HTTPStatus.NOT_FOUND, "This host knows no such migration"),
    "unknown-operation": (HTTPStatus.NOT_FOUND, "This host knows no such operation"),
    "wrong-method": (HTTPStatus.METHOD_NOT_ALLOWED, "This path does not take that method"),
    "too-slow": (HTTPStatus.REQUEST_TIMEOUT, "The request took too long to arrive"),
    "conflict": (HTTPStatus.CONFLICT, "Somebody else acts on the domain"),
    "over": (HTTPStatus.CONFLICT, "It cannot be cancelled any more"),
    "impossible": (HTTPStatus.CONFLICT, "That cannot be done as things are"),
    "broken": (HTTPStatus.CONFLICT, "A person must decide"),
    "too-large": (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The request is too large"),
    "wrong-type": (HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "The body must be plain JSON"),
    "invalid": (HTTPStatus.UNPROCESSABLE_ENTITY, "The request does not say what it must"),
    "wrong-file": (HTTPStatus.UNPROCESSABLE_ENTITY, "A file is wrong"),
    "driver": (HTTPStatus.UNPROCESSABLE_ENTITY, "A driver cannot be used"),
    "refused": (HTTPStatus.UNPROCESSABLE_ENTITY, "The domain cannot move"),
    "too-many": (HTTPStatus.TOO_MANY_REQUESTS, "Too many connections are open"),
    "large-headers": (HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "The headers are too large"),
    "internal": (HTTPStatus.INTERNAL_SERVER_ERROR, "This is a bug"),
    "move-failed": (HTTPStatus.BAD_GATEWAY, "The move was given up"),
    "engine": (HTTPStatus.BAD_GATEWAY, "The hypervisor said no"),
    "try-again": (HTTPStatus.SERVICE_UNAVAILABLE, "It may go well a little later"),
    "stopping": (HTTPStatus.SERVICE_UNAVAILABLE, "The service is about to end"),
    "outcome-unknown": (HTTPStatus.GATEWAY_TIMEOUT, "The hypervisor did not answer"),
}


class ProblemError(Exception):
    """A request that is answered with a problem; ``more`` are its extension members."""

    def __init__(self, code: str, detail: str, *, hint: str = "", **more: Any) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.hint = hint
        self.more = more

    @property
    def status(self) -> int:
        """The HTTP status of the answer."""
        return CODES[self.code][0].value

    def as_json(self) -> dict[str, Any]:
        """Return the document's members (RFC 9457, section 3)."""
        status, title = CODES[self.code]
        document = {
            "type": f"urn:domwarden:problem:{self.code}",
            "title": title,
            "status": status.value,
            "detail": self.detail,
            "code": self.code,
            **self.more,
        }
        return {**document, "hint": self.hint} if self.hint else document


def problem_of(error: DomwardenError) -> ProblemError:
    """Say what an expected error means to whoever asked."""
    more: dict[str, Any] = {}
    if isinstance(error, RefusedError):
        more["refusals"] = [refusal.as_json() for refusal in error.refusals]
    elif isinstance(error, ConfigError):
        more["problems"] = [dataclasses.asdict(problem) for problem in error.problems]
    elif isinstance(error, MoveFailedError):
        more["settled"] = error.settled.as_json()
        if isinstance(error.cause, RefusedError):
            more["refusals"] = [refusal.as_json() for refusal in error.cause.refusals]
    return ProblemError(_code(error), error.message, hint=error.hint, **more)


#: The first that fits; whatever else is expected is ``impossible``.
_MEANING: tuple[tuple[type[DomwardenError], str], ...] = (
    (RefusedError, "refused"),
    (ConflictError, "conflict"),
    (ConfigError, "wrong-file"),
    (DriverError, "driver"),
    (BrokenError, "broken"),
    (MoveFailedError, "move-failed"),
    (OutcomeUnknownError, "outcome-unknown"),
    (EngineError, "engine"),
    (TransientError, "try-again"),
)


def _code(error: DomwardenError) -> str:
    return next((code for kind, code in _MEANING if isinstance(error, kind)), "impossible")

"""What the service answers when something goes wrong, as the error that it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from domwarden.contract import (
    BrokenError,
    ConfigError,
    ConflictError,
    DomwardenError,
    DriverError,
    EngineError,
    OutcomeUnknownError,
    PermanentError,
    Problem,
    Refusal,
    RefusedError,
    TransientError,
)

_KINDS: Mapping[str, type[DomwardenError]] = {
    "conflict": ConflictError,
    "driver": DriverError,
    "broken": BrokenError,
    "engine": EngineError,
    "outcome-unknown": OutcomeUnknownError,
    "try-again": TransientError,
    "stopping": TransientError,
    "too-many": TransientError,
}
_HINTS: Mapping[str, str] = {
    "stopping": "the service is being restarted: ask again in a moment",
    "no-such-path": "the service is of another version: restart it",
}


def error_of(problem: Mapping[str, Any]) -> DomwardenError:
    """Return the error that a problem document tells of (RFC 9457)."""
    code, detail = str(problem.get("code", "")), str(problem.get("detail", "it gives no reason"))
    hint = str(problem.get("hint") or _HINTS.get(code, ""))
    refusals = [Refusal.from_json(one) for one in problem.get("refusals", ())]
    if "settled" in problem:
        return _given_up(problem["settled"], refusals, detail, hint)
    if refusals:
        return RefusedError(refusals)
    if code == "wrong-file" and "problems" in problem:
        return ConfigError([Problem(**one) for one in problem["problems"]])
    if code == "internal":
        return DomwardenError("this is a bug of the service", hint="its log has more")
    return _KINDS.get(code, PermanentError)(detail, hint=hint)


def _given_up(
    settled: Mapping[str, Any], refusals: list[Refusal], detail: str, hint: str
) -> DomwardenError:
    """Rebuild the error of a move, whose message is made of its cause's."""
    from domwarden.migration import MoveFailedError, Settled  # here: it takes long, and is rare

    left = Settled.from_json(settled)
    if refusals:
        return MoveFailedError(RefusedError(refusals), left)
    nothing = MoveFailedError(PermanentError(""), left).message
    return MoveFailedError(PermanentError(detail.removesuffix(nothing), hint=hint), left)

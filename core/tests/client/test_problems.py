"""An error that crosses the service is the error that it was."""

from __future__ import annotations

import json

import pytest

from domwarden.client.problems import error_of
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
from domwarden.migration import MoveFailedError, Outcome, Settled
from domwarden.service.problems import CODES, ProblemError, problem_of

WHY = Refusal("local-disk", "its disk is here", "mirror it", "root", "a")
LEFT = Settled("0123456789ab", "web1", Outcome.RESUMED, "it runs", ("an alarm",))
ERRORS = [
    ConfigError([Problem("/web1.yaml", 1, 2, "memory", "is missing", "add it")]),
    DriverError("no driver", hint="install it"),
    RefusedError([WHY, Refusal("no-bridge", "no br0", "make it")]),
    ConflictError("busy", hint="wait"),
    TransientError("not now"),
    PermanentError("never", hint="give up"),
    EngineError("QEMU said no"),
    OutcomeUnknownError("QEMU said nothing"),
    BrokenError("decide"),
    MoveFailedError(EngineError("QEMU said no", hint="look"), LEFT),
    MoveFailedError(RefusedError([WHY]), LEFT),
    MoveFailedError(ValueError("a bug"), LEFT),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_it_reads_the_same(error: DomwardenError) -> None:
    """With all that it carries."""
    back = error_of(json.loads(json.dumps(problem_of(error).as_json())))
    assert (type(back), back.message, back.hint) == (type(error), error.message, error.hint)
    for name in ("problems", "refusals", "settled"):
        assert getattr(back, name, None) == getattr(error, name, None)


@pytest.mark.parametrize("code", CODES)
def test_each_problem_is_an_expected_error(code: str) -> None:
    """One line and perhaps a hint, whatever the service answers."""
    back = error_of(ProblemError(code, "why").as_json())
    assert back.message
    assert "\n" not in back.message

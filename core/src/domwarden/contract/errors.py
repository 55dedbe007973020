"""What can go wrong, as a tree.

::

    DomwardenError
    ├── ConfigError          a file is wrong; .problems, all of them
    ├── DriverError          a driver cannot be used; .distribution, .version
    ├── RefusedError         the domain cannot move; .refusals, all of them
    ├── ConflictError        somebody else acts on the domain
    ├── WatchdogAbsentError  this machine has none of that kind (host_watchdog)
    ├── TransientError       try again after .delay seconds   (for drivers)
    ├── PermanentError       trying again is useless          (for drivers)
    ├── EngineError          the hypervisor said no; .command
    │   ├── GuestStoppedError     something else stopped the guest during its move
    │   └── OutcomeUnknownError   it said nothing: it may have acted; ask
    └── BrokenError          no rule settles it; a person must decide
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from domwarden.contract.refusals import Refusal


class DomwardenError(Exception):
    """An expected error: one line for its reader, and a hint."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


@dataclasses.dataclass(frozen=True, order=True)
class Problem:
    """One mistake in a file; ``line`` and ``column`` count from 1, ``path`` is dotted keys."""

    file: str
    line: int
    column: int
    path: str
    what: str
    hint: str = ""

    def __str__(self) -> str:
        parts = [f"{self.file}:{self.line}:{self.column}", self.path, self.what, self.hint]
        return ": ".join(part for part in parts if part)


class ConfigError(DomwardenError):
    """One or more files are wrong; ``problems`` holds every mistake that was found."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class DriverError(DomwardenError):
    """A driver is missing, broken, or breaks the contract."""

    def __init__(
        self, message: str, *, distribution: str = "", version: str = "", hint: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.distribution = distribution
        self.version = version


class RefusedError(DomwardenError):
    """The domain cannot move; ``refusals`` holds every reason from both ends."""

    def __init__(self, refusals: Sequence[Refusal]) -> None:
        super().__init__(
            "; ".join(
                f"{r.device or r.host or 'domain'}: {r.reason} ({r.remedy})" for r in refusals
            )
        )
        self.refusals = tuple(refusals)


class ConflictError(DomwardenError):
    """Somebody else acts on the same domain right now."""


class TransientError(DomwardenError):
    """A job failed in a way that may pass: it is run again after ``delay`` seconds."""

    def __init__(self, message: str, *, delay: float = 1.0, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.delay = delay


class PermanentError(DomwardenError):
    """A job failed and trying again is useless."""


class EngineError(DomwardenError):
    """The hypervisor refused or failed a command."""

    def __init__(self, message: str, *, command: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.command = command


class GuestStoppedError(EngineError):
    """Something else than the move (a watchdog, an operator) stopped the guest that moves."""


class OutcomeUnknownError(EngineError):
    """A command was sent and never answered: it may have been carried out; observe and decide."""


class BrokenError(DomwardenError):
    """No rule settles the domain's state; the message says what a person must decide."""

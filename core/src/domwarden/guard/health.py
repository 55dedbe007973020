"""What the checks' outcomes mean together: pure counting."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How one look, or one command, ended; ``words`` say what was wrong."""

    ok: bool
    words: str = ""


@dataclasses.dataclass
class Standing:
    """How one check stands: failures in a row, and the last of them.

    A check on ``probation`` failed, may have been repaired, and was not heard to pass since.
    """

    retries: int
    failures: int = 0
    words: str = ""
    probation: bool = False

    @property
    def failed(self) -> bool:
        """Whether it failed more often in a row than is let pass."""
        return self.failures > (0 if self.probation else self.retries)


class Health:
    """The standing of every check; a check that has not ended yet stands well."""

    def __init__(self, retries: Mapping[str, int]) -> None:
        self._standings = {name: Standing(allowed) for name, allowed in retries.items()}

    def hear(self, check: str, outcome: Outcome) -> None:
        """Take one outcome in."""
        standing = self._standings[check]
        standing.failures = 0 if outcome.ok else standing.failures + 1
        standing.probation = standing.probation and not outcome.ok
        standing.words = outcome.words

    @property
    def failed(self) -> dict[str, str]:
        """What is wrong, by the names of the checks that failed for good."""
        return {name: s.words for name, s in self._standings.items() if s.failed}

    @property
    def well(self) -> bool:
        """Whether nothing failed that has not passed since."""
        return not any(s.failures or s.probation for s in self._standings.values())

    def forgive(self) -> None:
        """Give those that failed one more chance: a repair may have helped."""
        for standing in self._standings.values():
            if standing.failed:
                standing.failures, standing.probation = 0, True

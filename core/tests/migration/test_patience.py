"""What is left to itself goes on trying as long as there is hope."""

from __future__ import annotations

from types import TracebackType
from typing import Any

import pytest

from domwarden.contract import BrokenError
from domwarden.migration import Outcome, Settled, patience


class Hub:
    """Opens, or fails to, as a journal's disk does; then settles one move."""

    def __init__(self, tries: list[str]) -> None:
        self.tries = tries
        self.now = ""

    async def __aenter__(self) -> Hub:
        self.now = self.tries.pop(0)
        if self.now == "broken disk":
            raise BrokenError("the journal cannot be used")
        return self

    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        _value: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        return

    async def settle(self, domain: str | None) -> list[Settled]:
        failed = self.now == "breaks meanwhile"
        outcome = Outcome.BROKEN if failed else Outcome.RESUMED
        return [Settled("m1", domain or "", outcome, failed=failed)]


async def keep_trying(tries: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "FIRST_PAUSE_SECONDS", 0.0)
    made: Any = lambda: Hub(tries)  # noqa: E731 - it stands for the factory of hubs
    await patience.keep_trying(made, "web1")


async def test_a_journal_that_cannot_be_used_for_a_moment_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A disk may come back, and a suspended guest waits for nobody else."""
    tries = ["broken disk", "breaks meanwhile", "broken disk", "well"]
    await keep_trying(tries, monkeypatch)
    assert tries == []


async def test_when_patience_is_over_the_last_failure_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Then somebody has to look."""
    monkeypatch.setattr(patience, "PATIENCE_SECONDS", 0.0)
    with pytest.raises(BrokenError, match="cannot be used"):
        await keep_trying(["broken disk"], monkeypatch)

"""Runs what a hook answered, as the core would."""

from __future__ import annotations

import dataclasses

from domwarden.contract import Job, JobResult


@dataclasses.dataclass
class Reports:
    """A JobContext that remembers what was reported: message, done, total."""

    lines: list[tuple[str, int | None, int | None]] = dataclasses.field(default_factory=list)

    def report(
        self, message: str = "", *, done: int | None = None, total: int | None = None
    ) -> None:
        """Remember it."""
        self.lines.append((message, done, total))


async def run(answer: object) -> JobResult:
    """Run a hook's job and return its result; raises AssertionError if the answer is no job."""
    assert isinstance(answer, Job), answer
    return await answer.run(Reports())

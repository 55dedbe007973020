"""The table of differences is the declared one."""

import errno
import re
from collections.abc import Sequence
from typing import Any

from ..parity.differences import DIFFERENCES
from ..parity.scenarios import SCENARIOS
from .pages import page


def told(answers: Sequence[Any]) -> str:
    """Write answers as the table has them."""
    return ", ".join(
        "gone"
        if answer is None
        else f"`{errno.errorcode[-answer]}`"
        if isinstance(answer, int) and answer < 0
        else str(answer)
        for answer in answers
    )


def test_each_declared_difference_has_its_row_and_no_other_has_one() -> None:
    """Name, what the scenario is, what Xen answers and what the embedded engine does."""
    scenarios = {each.name: each for each in SCENARIOS}
    section = page("docs/parity.md").section("The differences")
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in section.splitlines()
        if re.match(r"\| `", line)
    ]
    assert [row[0].strip("`") for row in rows] == [each.scenario for each in DIFFERENCES]
    for row, difference in zip(rows, DIFFERENCES, strict=True):
        scenario = scenarios[difference.scenario]
        assert row[1].startswith(scenario.title)
        assert row[2:4] == [told(scenario.answers), told(difference.embedded)]
        assert row[4]

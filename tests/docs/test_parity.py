"""The table of differences is the declared one."""

import errno
import re
from collections.abc import Sequence
from typing import Any

from ..parity.differences import DIFFERENCES, MISSING
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


def rows_of(heading: str) -> list[list[str]]:
    """Return the cells of a table's rows."""
    section = page("docs/parity.md").section(heading)
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in section.splitlines()
        if re.match(r"\| `", line)
    ]


def test_each_feature_that_an_engine_is_not_tested_for_has_its_row() -> None:
    """What the contract suite leaves out on an engine is told, with the reason."""
    rows = rows_of("What is left out of the engines' contract suite")
    declared = [(engine, str(one)) for engine, missing in MISSING.items() for one in missing]
    assert [(row[0].strip("`"), row[1].strip("`")) for row in rows] == declared
    assert all(row[2] for row in rows)


def test_each_declared_difference_has_its_row_and_no_other_has_one() -> None:
    """Name, what the scenario is, what Xen answers and what the embedded engine does."""
    scenarios = {each.name: each for each in SCENARIOS}
    rows = rows_of("The differences")
    assert [row[0].strip("`") for row in rows] == [each.scenario for each in DIFFERENCES]
    for row, difference in zip(rows, DIFFERENCES, strict=True):
        scenario = scenarios[difference.scenario]
        assert row[1].startswith(scenario.title)
        assert row[2:4] == [told(scenario.answers), told(difference.embedded)]
        assert row[4]

"""An exception from a checker says why it is there."""

import re

from workspace import ROOT

FOLDERS = ("core", "plugins", "examples", "tests", "bench", "tools")
EXCEPTION = re.compile(
    r"#\s*(?:noqa\b(?::\s*[A-Z0-9, ]+)?|type:\s*ignore(?:\[[\w, -]+\])?)(?P<rest>.*)"
)


def without_reason(text: str) -> list[int]:
    """Return the numbers of the lines whose exception has no reason behind it."""
    return [
        number
        for number, line in enumerate(text.splitlines(), start=1)
        if (match := EXCEPTION.search(line)) and not re.search(r"\w", match["rest"])
    ]


def test_every_exception_has_its_reason_beside_it() -> None:
    """A noqa or a type: ignore is followed by words that say why."""
    bare = [
        f"{path.relative_to(ROOT)}:{number}"
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
        for number in without_reason(path.read_text())
    ]
    assert not bare


def test_bare_exceptions_are_found() -> None:
    """Exceptions without words are seen, those with words are not."""
    mark = "# " + "noqa"
    lines = [
        f"x = 1  {mark}",
        f"x = 1  {mark}: E501",
        f"x = 1  {mark}: E501, B008  the table is wide",
        "x = 1  # " + "type: ignore[misc]",
        "x = 1  # " + "type: ignore[misc]  # pluggy hands it over",
        "x = 1  # nothing excepted",
    ]
    assert without_reason("\n".join(lines)) == [1, 2, 4]

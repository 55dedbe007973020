"""The witness of the live tests sees what it must see."""

from __future__ import annotations

from pathlib import Path

import pytest

from .consoles import Consoles


def _consoles(root: Path, **told: str) -> Consoles:
    for host, text in told.items():
        (root / host / "logs").mkdir(parents=True)
        lines = "".join(f"count {number}\n" for number in text.split())
        (root / host / "logs" / "web1.console.log").write_text(f"guest: ready\n{lines}")
    return Consoles(root, "web1")


def test_a_guest_that_goes_and_comes_back_tells_one_story(tmp_path: Path) -> None:
    """A line that a switchover cut in two is missing on both hosts."""
    consoles = _consoles(tmp_path, a="1 2 3 8 9", b="5 6 7")
    assert consoles.one_story(moves=2) == 9


def test_a_line_without_an_end_is_not_a_number(tmp_path: Path) -> None:
    consoles = _consoles(tmp_path, a="1 2", b="4")
    with (tmp_path / "a" / "logs" / "web1.console.log").open("a") as log:
        log.write("count 3")
    assert consoles.told("a") == [1, 2]


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("1 2 3 4", "3 4 5"),  # two copies ran
        ("1 2 3 2 3", ""),  # one was set back
        ("1 2 3 3", ""),  # one was set back by less than a line
        ("1 2", "6 7"),  # the guest lost something
    ],
)
def test_everything_else_is_another_story(tmp_path: Path, a: str, b: str) -> None:
    with pytest.raises(AssertionError):
        _consoles(tmp_path, a=a, b=b).one_story(moves=1)

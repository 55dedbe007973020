"""What YAML itself forbids is one located line, and located data keeps its places."""

import pytest
import yaml

from domwarden.config import compose as composing
from domwarden.config.compose import compose
from domwarden.config.nodes import Mapping, Mark, plain
from domwarden.config.report import Report


@pytest.fixture(params=["CSafeLoader", "SafeLoader"], autouse=True)
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch):
    """Both of PyYAML's parsers; one in C is not part of every installation."""
    if not hasattr(yaml, request.param):
        pytest.skip("PyYAML is installed without libyaml")
    monkeypatch.setattr(composing, "_PARSER", getattr(yaml, request.param))


def problems(text: str) -> list[str]:
    report = Report("f")
    compose(text, report)
    return [str(problem) for problem in report.problems]


def data(text: str):
    report = Report("f")
    root = compose(text, report)
    assert report.problems == []
    assert root is not None
    return plain(root)


def test_keys_and_values_know_their_places():
    root = compose("a: 1\nb:\n  - x\n  - {c: y}\n", Report("f"))
    assert isinstance(root, Mapping)
    assert root.keys == {"a": Mark(1, 1), "b": Mark(2, 1)}
    assert root.values["b"].items[1].values["c"].mark == Mark(4, 9)


def test_quoted_words_stay_text():
    assert data("a: '1'\nb: \"true\"\nc: |\n  2\n") == {
        "a": "1", "b": "true", "c": "2\n",
    }  # fmt: skip


def test_keys_are_text_whatever_they_look_like():
    assert data("1: a\nno: b\ntrue: c\nnull: d") == {"1": "a", "no": "b", "true": "c", "null": "d"}


def test_aliases_are_copies():
    assert data("a: &x {k: 1}\nb: *x\nc: &y 5\nd: *y") == {
        "a": {"k": 1}, "b": {"k": 1}, "c": 5, "d": 5,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["f:1:1: is empty: write `domain: NAME` and what belongs to it"]),
        ("# only a remark\n", ["f:1:1: is empty: write `domain: NAME` and what belongs to it"]),
        ("a: 1\na: 2\nb: {c: 1, c: 2}", [
            "f:2:1: a: stands twice: the first is on line 1; keep one",
            "f:3:11: b.c: stands twice: the first is on line 3; keep one",
        ]),
        ("a: 1\n---\nb: 2", ["f:2:1: a second document begins: one file holds one document"]),
        ("a: *x", ["f:1:4: a: alias *x has no anchor before it"]),
        ("a: &x [*x]", ["f:1:8: a[0]: alias *x contains itself"]),
        ("a: &x 1\nb: &x {c: *x}", ["f:2:11: b.c: alias *x contains itself"]),
        ("? [a]\n: 1", ["f:1:3: a list or mapping stands where a key should be:"
                        " quote a text that begins with { or ["]),
        ("a: &x [1]\n*x : 2", ["f:2:1: a list or mapping stands where a key should be:"
                              " quote a text that begins with { or ["]),
        ("'': 1", ["f:1:1: has an empty key: write `key: value`"]),
        ("a: !!int '5'", [
            "f:1:4: a: tag !!int is not used here: remove the tag; quote what is text",
        ]),
        ("a: !!python/object:os.system {}", [
            "f:1:4: a: tag !!python/object:os.system is not used here:"
            " remove the tag; quote what is text",
        ]),
    ],
)  # fmt: skip
def test_a_mistake_is_a_located_line(text, expected):
    assert problems(text) == expected


@pytest.mark.parametrize(
    ("text", "place", "hint"),
    [
        ("a: b: c", "f:1:5: is not YAML", "quote a text that contains a colon and a space"),
        ("a:\n\t- b", "f:2:1: is not YAML", "indent with spaces, not tabs"),
        ("\na: [1, 2", "f:", "begun on line 2, "),
        ("a: 'b", "f:1:6: is not YAML", "a quote or bracket is not closed"),
        ("a: @b", "f:1:4: is not YAML", "quote"),
        ("a: %b\n b: - c", "f:", ""),
        ("%YAML 99.999\n---\na: 1", "f:", ""),
        ('a: "\\ud800"', "f:1:", ""),
        ('a: "\\UFFFFFFFF"', "f:1:", ""),
    ],
)
def test_a_syntax_error_is_one_located_line(text, place, hint):
    [line] = problems(text)
    assert line.startswith(place)
    assert hint in line
    assert "\n" not in line


def test_tags_that_say_what_is_anyhow_are_accepted():
    assert data("a: !!str 5\nb: !!map {c: 1}\nc: !!seq [2]\nd: ! 7") == {
        "a": "5", "b": {"c": 1}, "c": [2], "d": "7",
    }  # fmt: skip


def test_deep_nesting_is_refused_at_once():
    for text in ("[" * 200_000, "{a: " * 200_000, "- " * 200_000, "? " * 100_000):
        [line] = problems(text)
        assert "is nested deeper than 32 levels" in line or "where a key should be" in line


def test_a_billion_laughs_are_refused_at_once():
    text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    for level in range(1, 30):
        text += f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]\n"
    [line] = problems(text)
    assert "holds more than 100000 values: use fewer aliases" in line


def test_mistakes_before_a_syntax_error_are_told_too():
    assert len(problems("a: 1\na: 2\nb: [")) == 2


def test_a_thousand_mistakes_end_after_two_hundred():
    found = problems("".join("a: 1\n" for _ in range(1000)))
    assert len(found) == 201
    assert any("and more" in line for line in found)

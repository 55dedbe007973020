"""Whatever a file holds, it is in order or has problems of one line each."""

import random
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domwarden.config import check_files, load_domain, load_host
from domwarden.config import compose as composing
from domwarden.contract import ConfigError

from .drivers import GOOD, HOST

FIXTURES = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
SEEDS = (
    GOOD, HOST, "a: &x [1, *x]", "a: &x 1\nb: *x", "? [a]\n: b", "a: |\n  b\n c",
    "%YAML 1.1\n---\na",
    "a: !!int x", "- - - a", "'a': \"\\x41\\u0041\"", "a: >-\n  b\n\n  c", "{a, b: , c}", "--- ---",
)  # fmt: skip
SNIPPETS = [
    "{", "}", "[", "]", ": ", "- ", "? ", "&a ", "*a", "!!", "!", "|", ">", "%", "@", "`", "'", '"',
    "#", "\n", "\t", "  ", "---\n", "...\n", "\\", "\0", "\ufeff", "\x85", "\u2028", "<<: *a",
    "null", "1e9", "driver: disk", "watchdog", "devices:", "\\ud800", "é", "\U0001f600", ",", "~",
]  # fmt: skip


@pytest.fixture(params=["CSafeLoader", "SafeLoader"], autouse=True)
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch):
    """Both of PyYAML's parsers; one in C is not part of every installation."""
    if not hasattr(yaml, request.param):
        pytest.skip("PyYAML is installed without libyaml")
    monkeypatch.setattr(composing, "_PARSER", getattr(yaml, request.param))


def judge(directory: Path, content: bytes) -> None:
    file = directory / "f.yaml"
    file.write_bytes(content)
    found = check_files([file])
    for problem in found:
        line = str(problem)
        assert line.isprintable(), line
        assert problem.line >= 1
        assert problem.column >= 1
        assert line.startswith(f"{file}:{problem.line}:{problem.column}: ")
    for load in (load_domain, load_host):
        try:
            load(file)
        except ConfigError as error:
            told = error.problems
        else:
            continue
        assert told != ()


@FIXTURES
@given(st.binary(max_size=200))
def test_arbitrary_bytes(tmp_path: Path, content):
    judge(tmp_path, content)


@FIXTURES
@given(st.sampled_from(SEEDS), st.randoms(use_true_random=False), st.integers(1, 6))
def test_mutated_files(tmp_path: Path, text: str, chance: random.Random, times: int):
    for _ in range(times):
        start = chance.randrange(len(text) + 1)
        end = min(len(text), start + chance.choice([0, 0, 1, 1, 5, 40]))
        again = text[chance.randrange(len(text) + 1) :][: chance.choice([3, 20])]
        text = text[:start] + chance.choice([*SNIPPETS, again, ""]) + text[end:]
    judge(tmp_path, text.encode())


KEYS = st.sampled_from([
    "domain", "engine", "memory", "vcpus", "boot", "watchdog", "devices", "migration", "uuid",
    "driver", "source", "parts", "host", "peers", "drivers", "config", "state", "escalate",
    "action", "machine", "", "tiny", "disk", "a.b", "1", "watchdog", "\x85",
]) | st.text(max_size=4)  # fmt: skip
LEAVES = st.sampled_from(
    ["tiny", "booting", "disk", "card", "odd", "lost", "1MiB", "30s", "reset"]
) | (st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.dates())
TREES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=30,
)


@FIXTURES
@given(st.dictionaries(KEYS, TREES, max_size=8) | TREES, st.booleans())
def test_arbitrary_structures(tmp_path: Path, tree, flow):
    judge(tmp_path, yaml.safe_dump(tree, allow_unicode=True, default_flow_style=flow).encode())


@FIXTURES
@given(st.lists(st.sampled_from([*SNIPPETS, "a", "b", "domain: a\n"]), max_size=25))
def test_arbitrary_punctuation(tmp_path: Path, parts):
    judge(tmp_path, "".join(parts).encode())

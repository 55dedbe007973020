"""The quick look into a host file says what its reader says, or nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domwarden.client.hostfile import socket_in
from domwarden.config import load_host

PLAIN = [
    "host: a\n",
    "host: a\nstate: s\n",
    "host: a\nstate: ./s/../t\nsocket: '/run/x.sock'\n",
    'host: "a"\nsocket: "x\\u00e9.sock"\n',
    "{host: a, state: no}\n",
    "# nothing\nhost: a\npeers:\n  b: {config: b.yaml, silence: 20s}\nstate: s\n",
    "host: a\ndrivers: {embedded: {idle: 30s}}\n",
    "host: a\nsocket: 12:30:45\nstate: 0x1f\n",
]
UNCLEAR = [
    "",
    "a",
    "[a]",
    "state: s\n",
    "host: a\nstate:\n",
    "host: a\nstate: ~\n",
    "host: a\nstate: 5\n",
    "host: a\nstate: True\n",
    "host: a\nstate: 1e3\n",
    "host: a\nstate: ''\n",
    "host: a\nstate: [s]\n",
    "host: a\nstate: {s: t}\n",
    "host: a\nstate: !!str s\n",
    "host: a\nstate: s\nstate: t\n",
    "host: a\nstate: &x s\nsocket: *x\n",
    "host: a\n? [state]\n: s\n",
    "host: a\nstate: s\n---\nhost: b\n",
    'host: a\nstate: "s\\0"\n',
    "host: a\nstate: 's\n",
    "host: a\n\tstate: s\n",
    "host: a\npeers: " + "[" * 5000,
]


@pytest.mark.parametrize("text", PLAIN)
def test_plain_files_are_seen_through(tmp_path: Path, text: str) -> None:
    path = tmp_path / "host.yaml"
    path.write_text(text)
    assert socket_in(path) == load_host(path).socket_path


@pytest.mark.parametrize("text", UNCLEAR)
def test_what_is_unclear_is_left_to_the_reader_of_the_whole_file(tmp_path: Path, text: str) -> None:
    """It says what is wrong, by line and column."""
    path = tmp_path / "host.yaml"
    path.write_text(text)
    assert socket_in(path) is None


def test_no_file_is_left_to_it_too(tmp_path: Path) -> None:
    assert socket_in(tmp_path) is None
    assert socket_in(tmp_path / "nothing") is None
    (tmp_path / "binary").write_bytes(b"host: \xff")
    assert socket_in(tmp_path / "binary") is None


WORDS = st.one_of(st.text(max_size=12), st.integers(), st.booleans(), st.none(), st.floats())


@given(
    values=st.dictionaries(st.sampled_from(["state", "socket"]), WORDS),
    style=st.sampled_from([None, "'", '"', "|", ">"]),
    flow=st.booleans(),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_it_never_contradicts_the_reader(
    tmp_path: Path, values: dict[str, object], style: str | None, flow: bool
) -> None:
    """Whatever a file says: the same place, or none."""
    path = tmp_path / "host.yaml"
    text = yaml.safe_dump(
        {"host": "a", **values}, default_style=style, default_flow_style=flow, allow_unicode=True
    )
    path.write_text(text, newline="")
    found = socket_in(path)
    if found is not None:
        assert found == load_host(path).socket_path

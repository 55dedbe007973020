"""A host file becomes a host with its peers, or all of its problems."""

from pathlib import Path

import pytest

from domwarden.config import HostFile, Peer, check_files, load_host
from domwarden.contract import ConfigError, Host

from .drivers import HOST


def test_a_whole_file_becomes_a_host(tmp_path: Path):
    file = tmp_path / "alpha.yaml"
    file.write_text(HOST)
    assert load_host(file) == HostFile(
        Host(
            "alpha",
            tmp_path / "state",
            {"disk": {"directories": {"/a": f"{tmp_path}/b"}}, "tiny": {"binary": "/usr/bin/tiny"}},
        ),
        {"beta": Peer("beta", tmp_path / "beta.yaml")},
    )


def test_a_peer_may_be_reached_by_a_command(tmp_path: Path):
    file = tmp_path / "alpha.yaml"
    file.write_text("host: alpha\npeers: {beta: {command: [ssh, beta, domwarden, peer]}}\n")
    beta = Peer("beta", command=("ssh", "beta", "domwarden", "peer"))
    assert load_host(file).peers == {"beta": beta}


def test_a_name_is_enough(tmp_path: Path):
    file = tmp_path / "alpha.yaml"
    file.write_text("host: 1-alpha.example\n")
    assert load_host(file) == HostFile(Host("1-alpha.example", Path("/var/lib/domwarden")))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("state: a", "1:1: missing key 'host': This host's name"),
        ("host: -a", "1:7: host: wrong value '-a': expected a letter or digit, then letters"),
        (
            "host: a\nstat: b",
            "2:1: stat: unknown key 'stat': did you mean 'state'? valid: drivers,",
        ),
        ("host: a\npeers: [b]", "2:8: peers: wrong value, a list: expected a mapping"),
        ("host: a\npeers: {b: c}", "2:9: peers.b: wrong value 'c': expected a mapping"),
        ("host: a\npeers: {b: {}}", "2:9: peers.b: has no way to be reached: write either config"),
        ("host: a\npeers: {b: {config: c, command: [d]}}", "2:9: peers.b: has two ways to be"),
        ("host: a\npeers: {b: {command: []}}", "peers.b.command: wrong value"),
        ("host: a\npeers: {b: {command: ssh}}", "peers.b.command: wrong value 'ssh'"),
        (
            "host: a\npeers: {b: {command: [d], silence: 1s}}",
            "silence: wrong value '1s': expected 5",
        ),
        ("host: a\npeers: {b: {command: [1]}}", "peers.b.command[0]: wrong value '1'"),
        ("host: a\npeers: {a: {config: c}}", "2:9: peers.a: is this host itself"),
        ("host: a\npeers: {'/': {config: c}}", "2:9: peers./: is no name for a host: expected"),
        ("host: a\ndrivers: {disc: {}}", "no driver 'disc' is installed: did you mean 'disk'?"),
        ("host: a\ndrivers: {elsewhere: {}}", "2:11: drivers.elsewhere: driver 'elsewhere' has no"),
        ("host: a\ndrivers: {disk: {directorie: {}}}", "did you mean 'directories'? valid: dir"),
        ("host: a\ndrivers: {disk: {directories: {/a: 5}}}", "2:36: drivers.disk.directories./a:"),
        ("host: a\ndrivers: {disk: 1}", "2:11: drivers.disk: wrong value '1': expected a mapping"),
    ],
)
def test_a_mistake_is_one_located_line_with_a_hint(tmp_path: Path, text, expected):
    file = tmp_path / "alpha.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_host(file)
    [problem] = caught.value.problems
    assert expected in str(problem)
    if text.startswith("host:"):
        assert check_files([file]) == [problem]


def test_what_a_schema_says_of_every_key_is_told_for_each(tmp_path: Path):
    file = tmp_path / "alpha.yaml"
    file.write_text("host: a\ndrivers: {disk: {directories: {/a: yes, /b: 1, /c: c}}}\n")
    [problem] = check_files([file])
    assert (problem.path, problem.hint) == ("drivers.disk.directories./b", "expected a path")

"""A host file becomes a host with its peers, or all of its problems."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domwarden.config import Address, HostFile, Peer, check_files, load_host
from domwarden.contract import ConfigError, Host, Stream, Tls

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


def test_a_peer_may_be_reached_at_an_address(tmp_path: Path):
    file = tmp_path / "alpha.yaml"
    file.write_text(
        "host: alpha\nlisten: 10.0.0.1\ntls: {key: mine.key}\n"
        "peers: {beta: {address: '[fd00::2]:7000'}, gamma: {address: gamma}}\n"
    )
    read = load_host(file)
    assert read.peers["beta"] == Peer("beta", address=Address("fd00::2", 7000))
    assert read.peers["gamma"].address == Address("gamma", 16519)
    assert read.listen == Address("10.0.0.1")
    usual = Path("/etc/domwarden/pki")
    assert read.host.credentials == Tls(
        usual / "authority.pem", usual / "alpha.pem", tmp_path / "mine.key"
    )


@given(
    st.builds(
        Address,
        st.from_regex(r"[a-z0-9_][a-z0-9_.-]{0,30}", fullmatch=True)
        | st.ip_addresses(v=6).map(str),
        st.integers(1, 65535),
    )
)
def test_an_address_reads_as_it_is_written(address: Address):
    assert Address.parse(str(address)) == address


@given(st.text(max_size=40) | st.from_regex(r"[\[\]:a-z0-9.]+", fullmatch=True))
def test_no_text_is_an_address_that_cannot_be_written(text: str):
    try:
        found = Address.parse(text)
    except ValueError:
        return
    assert Address.parse(str(found)) == found
    assert found.host
    assert 0 < found.port < 65536


def test_without_any_a_host_has_the_usual_files_of_its_name(tmp_path: Path):
    file = tmp_path / "alpha.yaml"
    file.write_text("host: alpha\n")
    assert load_host(file).host.credentials == Tls.usual("alpha")
    assert str(load_host(file).listen) == "*:16519"


def test_streams_are_encrypted_unless_the_file_says_otherwise(tmp_path: Path):
    file = tmp_path / "alpha.yaml"
    file.write_text("host: alpha\n")
    assert load_host(file).host.streams is Stream.TLS
    file.write_text("host: alpha\nstreams: plain\n")
    assert load_host(file).host.streams is Stream.PLAIN


def test_a_peer_may_have_a_host_emptied_only_where_the_file_says_so(tmp_path: Path):
    file = tmp_path / "alpha.yaml"
    file.write_text("host: alpha\npeers: {b: {address: b}, c: {address: c, may_evacuate: true}}\n")
    peers = load_host(file).peers
    assert {name: peer.may_evacuate for name, peer in peers.items()} == {"b": False, "c": True}


def test_a_name_is_enough(tmp_path: Path):
    file = tmp_path / "alpha.yaml"
    file.write_text("host: 1-alpha.example\n")
    assert load_host(file) == HostFile(Host("1-alpha.example", Path("/var/lib/domwarden")))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "host: a\nstreams: local",
            "2:10: streams: wrong value 'local': valid: tls, plain",
        ),
        ("state: a", "1:1: missing key 'host': This host's name"),
        ("host: -a", "1:7: host: wrong value '-a': expected a letter or digit, then letters"),
        (
            "host: a\nstat: b",
            "2:1: stat: unknown key 'stat': did you mean 'state'? valid: drivers,",
        ),
        ("host: a\npeers: [b]", "2:8: peers: wrong value, a list: expected a mapping"),
        ("host: a\npeers: {b: c}", "2:9: peers.b: wrong value 'c': expected a mapping"),
        ("host: a\npeers: {b: {}}", "2:9: peers.b: has no way to be reached: write one of: add"),
        ("host: a\npeers: {b: {config: c, command: [d]}}", "2:9: peers.b: has 2 ways to be"),
        ("host: a\npeers: {b: {address: c, command: [d]}}", "2:9: peers.b: has 2 ways to be"),
        ("host: a\npeers: {b: {address: 'c:d'}}", "2:22: peers.b.address: wrong value 'c:d': exp"),
        ("host: a\npeers: {b: {address: 7}}", "peers.b.address: wrong value '7': expected HOST:"),
        ("host: a\npeers: {b: {address: 'c:65536'}}", "wrong value 'c:65536': expected HOST:PORT"),
        ("host: a\nlisten: fd00::1", "2:9: listen: wrong value 'fd00::1': expected HOST:PORT"),
        ("host: a\ntls: {cert: c}", "2:7: tls.cert: unknown key 'cert': valid: authority, cert"),
        ("host: a\ntls: c", "2:6: tls: wrong value 'c': expected a mapping"),
        ("host: a\ntls: {key: 5}", "2:12: tls.key: wrong value '5': expected a path"),
        ("host: a\npeers: {b: {command: []}}", "peers.b.command: wrong value"),
        ("host: a\npeers: {b: {command: ssh}}", "peers.b.command: wrong value 'ssh'"),
        (
            "host: a\npeers: {b: {command: [d], silence: 1s}}",
            "silence: wrong value '1s': expected 5",
        ),
        (
            "host: a\npeers: {b: {command: [d], may_evacuate: true}}",
            "2:27: peers.b.may_evacuate: needs `address`: no other way shows who asks: remove it",
        ),
        (
            "host: a\npeers: {b: {address: c, may_evacuate: 1}}",
            "peers.b.may_evacuate: wrong value '1': expected true or false",
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

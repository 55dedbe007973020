"""TLS between the shims: everything arrives, from nobody else than the host that is expected."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domwarden.contract import Tls
from domwarden.testing.authority import Authority
from domwarden_xen.transport.secure import Secure, SecureError, Terms

Hosts = dict[str, Tls]


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Hosts:
    authority = Authority(tmp_path_factory.mktemp("pki"))
    return {name: authority.host(name) for name in "abc"}


def end(files: Tls, peer: str, *, server: bool) -> Secure:
    """Return one end of a connection."""
    paths = {key: str(path) for key, path in dataclasses.asdict(files).items()}
    terms = Terms.of({**paths, "peer": peer}, server=server)
    assert terms is not None
    return terms.begin()


def wired(hosts: Hosts) -> Wire:
    """Return a connection between the hosts a and b."""
    return Wire(end(hosts["a"], "b", server=False), end(hosts["b"], "a", server=True))


class Wire:
    """Carries bytes between two ends, in pieces of given sizes."""

    def __init__(self, source: Secure, target: Secure) -> None:
        self.ends = (source, target)
        self.heard: tuple[bytearray, bytearray] = (bytearray(), bytearray())
        self.seen = bytearray()
        self._way: list[tuple[int, bytes]] = []

    def send(self, end: int, data: bytes) -> None:
        """Let one end say something."""
        self._put(end, self.ends[end].wrap(data))

    def carry(self, cuts: list[int]) -> None:
        """Bring everything over."""
        turn = 0
        while self._way:
            end, data = self._way.pop(0)
            size = cuts[turn % len(cuts)]
            turn += 1
            piece, rest = data[:size], data[size:]
            if rest:
                self._way.insert(0, (end, rest))
            plain, answer = self.ends[1 - end].unwrap(piece)
            self.heard[1 - end].extend(plain)
            self._put(1 - end, answer)

    def _put(self, end: int, data: bytes) -> None:
        self.seen += data
        if data:
            self._way.append((end, data))


@given(
    said=st.lists(st.tuples(st.integers(0, 1), st.binary(max_size=40_000)), max_size=6),
    cuts=st.lists(st.integers(1, 30_000), min_size=1, max_size=4),
)
def test_what_is_said_arrives_whole_however_it_is_cut(
    hosts: Hosts, said: list[tuple[int, bytes]], cuts: list[int]
) -> None:
    """Also what was said before the other end was known."""
    wire = wired(hosts)
    wire.send(0, b"")
    for end, data in said:
        wire.send(end, data)
    wire.carry([max(cut, 500) for cut in cuts])
    for end in (0, 1):
        assert wire.heard[1 - end] == b"".join(data for one, data in said if one == end)


def test_nobody_on_the_way_reads_it(hosts: Hosts) -> None:
    """What is said is not among the bytes that travel."""
    wire = wired(hosts)
    wire.send(0, b"the guest's memory" * 1000)
    wire.carry([4096])
    assert wire.heard[1] == b"the guest's memory" * 1000
    assert b"the guest" not in wire.seen


@pytest.mark.parametrize(
    ("source", "expected"), [("a", "c"), ("c", "b")], ids=["by the source", "by the destination"]
)
def test_another_host_of_the_same_authority_is_refused(
    hosts: Hosts, source: str, expected: str
) -> None:
    """It says nothing, and is told nothing, by the end that expects somebody else."""
    wire = Wire(end(hosts[source], expected, server=False), end(hosts["b"], "a", server=True))
    wire.send(0, b"secret")
    with pytest.raises(SecureError, match="its certificate names"):
        wire.carry([4096])
    assert not wire.heard[1]


def test_a_foreign_authority_is_refused(hosts: Hosts, tmp_path: Path) -> None:
    """The names in its certificates count for nothing."""
    foreign = Authority(tmp_path / "pki").host("a")
    wire = Wire(end(foreign, "b", server=False), end(hosts["b"], "a", server=True))
    wire.send(0, b"secret")
    with pytest.raises(SecureError, match="its certificate does not hold"):
        wire.carry([4096])
    assert not wire.heard[1]


@pytest.mark.parametrize(
    "said", [b"GET / HTTP/1.1\r\n\r\n", b"\0\0\0\x02\x01{}", b"\x16\x03\x01\xff"]
)
def test_what_is_no_tls_is_refused(hosts: Hosts, said: bytes) -> None:
    """Nothing of it is heard."""
    target = end(hosts["b"], "a", server=True)
    with pytest.raises(SecureError, match="TLS"):
        target.unwrap(said + b"\0" * 1000)

"""A stream that leaves the machine is encrypted, or refused, unless both hosts want it plain."""

import dataclasses
import datetime
from pathlib import Path

import pytest

from domwarden.contract import Host, PermanentError, Stream, Tls, stream_at, stream_refusals, tls
from domwarden.pki import Directory


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A host with files of its own."""
    pki = Directory(tmp_path / "pki")
    now = datetime.datetime.now(datetime.UTC)
    pki.create_authority(now)
    for name in ("m1", "m2"):
        pki.create_host(name, now, 730)
    return Host("m1", tmp_path, tls=Tls.usual("m1", pki.path))


@pytest.mark.parametrize("address", ["", "127.0.0.1", "127.7.7.7", "::1"])
def test_what_stays_on_the_machine_needs_no_certificate(tmp_path: Path, address: str):
    assert stream_at(Host("m1", tmp_path), address) is Stream.LOCAL


@pytest.mark.parametrize("address", ["10.0.0.1", "fd00::1", "0.0.0.0", "::", "localhost", "m1"])
def test_what_may_leave_the_machine_travels_as_the_host_says(tmp_path: Path, address: str):
    assert stream_at(Host("m1", tmp_path), address) is Stream.TLS
    assert stream_at(Host("m1", tmp_path, streams=Stream.PLAIN), address) is Stream.PLAIN


async def test_a_host_with_its_files_takes_encrypted_streams(host: Host):
    assert await stream_refusals(host, Stream.TLS) == []


async def test_a_stream_on_the_machine_is_never_refused(tmp_path: Path):
    assert await stream_refusals(Host("m1", tmp_path), Stream.LOCAL) == []


async def test_hosts_that_disagree_are_refused_either_way(host: Host):
    (refusal,) = await stream_refusals(host, Stream.PLAIN)
    assert (refusal.code, refusal.host) == ("plain-stream", "m1")
    assert refusal.reason == (
        "the other host takes streams plain (streams: plain), m1 encrypted only (streams: tls)"
    )
    plain = dataclasses.replace(host, streams=Stream.PLAIN)
    assert [r.code for r in await stream_refusals(plain, Stream.TLS)] == ["plain-stream"]
    assert await stream_refusals(plain, Stream.PLAIN) == []


async def test_a_host_without_a_certificate_refuses(tmp_path: Path):
    host = Host("m1", tmp_path, tls=Tls.usual("m1", tmp_path / "nowhere"))
    (refusal,) = await stream_refusals(host, Stream.TLS)
    assert refusal.code == "no-certificate"
    assert "No such file" in refusal.reason
    assert "domwarden pki" in refusal.remedy


async def test_a_certificate_of_another_host_does_not_serve(host: Host):
    assert host.tls is not None
    other = dataclasses.replace(host, tls=Tls.usual("m2", host.tls.authority.parent))
    (refusal,) = await stream_refusals(other, Stream.TLS)
    assert refusal.code == "no-certificate"
    assert refusal.reason.endswith("m2.pem does not name m1")


async def test_a_certificate_that_ended_does_not_serve(tmp_path: Path):
    pki = Directory(tmp_path / "pki")
    long_ago = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=100)
    pki.create_authority(long_ago)
    pki.create_host("m1", long_ago, 10)
    host = Host("m1", tmp_path, tls=Tls.usual("m1", pki.path))
    (refusal,) = await stream_refusals(host, Stream.TLS)
    assert "certificate has expired" in refusal.reason


def test_a_certificate_must_name_the_very_peer():
    shown = {"subjectAltName": (("DNS", "m2"), ("DNS", "m2.example"))}
    tls.require(shown, "m2")
    with pytest.raises(PermanentError, match=r"names 'm2', 'm2.example', not 'm3'"):
        tls.require(shown, "m3")
    with pytest.raises(PermanentError, match="names nobody"):
        tls.require(None, "m2")


@pytest.mark.parametrize("streams", [Stream.TLS, Stream.PLAIN])
@pytest.mark.parametrize("named", [True, False])
def test_a_host_comes_back_from_plain_data(host: Host, streams: Stream, named: bool):
    host = dataclasses.replace(host, streams=streams, tls=host.tls if named else None)
    assert Host.from_json(host.as_json()) == host

"""An authority and its hosts' certificates: whole, private, never lost to a second run."""

from __future__ import annotations

import datetime
import ssl
import stat
from pathlib import Path

import pytest

pytest.importorskip("cryptography", reason="domwarden[pki] is not installed")

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from domwarden.contract import PermanentError
from domwarden.pki import Directory, Standing, known

NOW = datetime.datetime(2030, 1, 1, 12, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)


@pytest.fixture
def pki(tmp_path: Path) -> Directory:
    made = Directory(tmp_path / "etc" / "pki")
    made.create_authority(NOW)
    return made


def read(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_a_host_is_named_by_its_certificate_for_both_ends_of_a_connection(pki: Directory) -> None:
    made = pki.create_host("m1.example", NOW, 730)
    certificate = read(made.certificate)
    extensions = certificate.extensions
    names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["m1.example"]
    purposes = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert set(purposes) == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}
    assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    certificate.verify_directly_issued_by(read(pki.files("authority").certificate))


def test_keys_are_their_owners_alone(pki: Directory) -> None:
    made = pki.create_host("m1", NOW, 730)
    for key in (made.key, pki.files("authority").key):
        assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_a_certificate_is_valid_at_once_and_no_longer_than_its_authority(pki: Directory) -> None:
    early = read(pki.create_host("m1", NOW, 730).certificate)
    assert early.not_valid_before_utc < NOW
    assert early.not_valid_after_utc == NOW + 730 * DAY
    late = read(pki.create_host("m2", NOW + 3000 * DAY, 730).certificate)
    assert late.not_valid_after_utc == NOW + 3650 * DAY


@pytest.mark.parametrize("lost", ["none", "certificate", "key"])
def test_nothing_is_written_over(pki: Directory, lost: str) -> None:
    made = pki.create_host("m1", NOW, 730)
    if lost != "none":
        getattr(made, lost).unlink()
    before = {file: file.read_bytes() for file in pki.path.iterdir()}
    with pytest.raises(PermanentError, match="exists already, and is not written over"):
        pki.create_host("m1", NOW + DAY, 730)
    with pytest.raises(PermanentError, match="exists already, and is not written over") as caught:
        pki.create_authority(NOW + DAY)
    assert "keep it" in caught.value.hint
    assert {file: file.read_bytes() for file in pki.path.iterdir()} == before


def test_a_renewed_certificate_is_for_the_same_key(pki: Directory) -> None:
    made = pki.create_host("m1", NOW, 10)
    key, first = made.key.read_bytes(), read(made.certificate)
    pki.renew_host("m1", NOW + DAY, 730)
    second = read(made.certificate)
    assert made.key.read_bytes() == key
    assert second.public_key() == first.public_key()
    assert second.not_valid_after_utc == NOW + 731 * DAY
    assert sorted(file.name for file in pki.path.iterdir()) == [
        "authority.key",
        "authority.pem",
        "m1.key",
        "m1.pem",
    ]
    with pytest.raises(PermanentError, match=r"m2\.key: No such file") as caught:
        pki.renew_host("m2", NOW, 730)
    assert "domwarden pki host m2" in caught.value.hint


@pytest.mark.parametrize("name", ["", "../m1", "a b", "-a", "m1\n", "authority", "x" * 64, "é"])
def test_only_a_hosts_name_becomes_a_file(pki: Directory, name: str) -> None:
    before = set(pki.path.rglob("*"))
    for make in (pki.create_host, pki.renew_host):
        with pytest.raises(PermanentError):
            make(name, NOW, 730)
    assert set(pki.path.rglob("*")) == before


def test_every_name_that_a_host_may_have_gets_a_certificate(pki: Directory) -> None:
    for name in ("A", "9", "a_b", "a..b", "1.2.3.4", "x" * 63):
        made = pki.create_host(name, NOW, 730)
        names = read(made.certificate).extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        )
        assert names.value.get_values_for_type(x509.DNSName) == [name]
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(made.certificate, made.key)


def test_without_an_authority_there_are_no_hosts(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match=r"authority\.key: No such file") as caught:
        Directory(tmp_path).create_host("m1", NOW, 730)
    assert "domwarden pki init" in caught.value.hint


def test_another_authoritys_key_signs_nothing(pki: Directory, tmp_path: Path) -> None:
    other = Directory(tmp_path / "other").create_authority(NOW)
    pki.files("authority").key.write_bytes(other.key.read_bytes())
    with pytest.raises(PermanentError, match="is not the key of"):
        pki.create_host("m1", NOW, 730)


def test_each_certificate_is_told_with_what_it_is_worth(pki: Directory, tmp_path: Path) -> None:
    other = Directory(tmp_path / "other")
    other.create_authority(NOW)
    foreign = other.create_host("m5", NOW, 730)
    pki.create_host("m1", NOW, 730)
    pki.create_host("m2", NOW, 20)
    pki.create_host("m3", NOW - 30 * DAY, 10)
    pki.create_host("m4", NOW + DAY, 10)
    (pki.path / "m5.pem").write_bytes(foreign.certificate.read_bytes())
    found = {each.file.name: each for each in known(pki.path, NOW)}
    assert {name: each.standing for name, each in found.items()} == {
        "authority.pem": Standing.VALID,
        "m1.pem": Standing.VALID,
        "m2.pem": Standing.SOON,
        "m3.pem": Standing.EXPIRED,
        "m4.pem": Standing.EARLY,
        "m5.pem": Standing.FOREIGN,
    }
    assert next(iter(found)) == "authority.pem"
    assert found["m1.pem"].as_json()["names"] == ["m1"]
    assert (found["m1.pem"].has_key, found["m5.pem"].has_key) == (True, False)
    pki.files("authority").certificate.unlink()
    assert known(pki.path, NOW)[0].standing is Standing.UNKNOWN


def test_what_is_no_certificate_is_named(pki: Directory) -> None:
    (pki.path / "m1.pem").write_text("hello")
    with pytest.raises(PermanentError, match=r"m1\.pem is no certificate in PEM"):
        known(pki.path, NOW)
    with pytest.raises(PermanentError, match="no such directory"):
        known(pki.path / "nowhere", NOW)

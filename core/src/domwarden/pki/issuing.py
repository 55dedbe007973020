"""What stands in the certificates of an authority and of its hosts."""

from __future__ import annotations

import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

#: Proxmox' periods: who adds a host in three years finds an authority, and hosts are renewed.
AUTHORITY_DAYS = 3650
HOST_DAYS = 730
#: A new certificate is valid at once on a host whose clock is behind.
SKEW = datetime.timedelta(hours=1)

_NO_USE = {
    "content_commitment": False,
    "data_encipherment": False,
    "key_agreement": False,
    "encipher_only": False,
    "decipher_only": False,
    "key_encipherment": False,
}


def new_key() -> ec.EllipticCurvePrivateKey:
    """Make a key (P-256, which OpenSSL and GnuTLS know everywhere)."""
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return a key as its file holds it: PKCS #8, not encrypted, since services read it."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def certificate_pem(certificate: x509.Certificate) -> bytes:
    """Return a certificate as its file holds it."""
    return certificate.public_bytes(Encoding.PEM)


def authority(
    key: ec.EllipticCurvePrivateKey, now: datetime.datetime, days: int = AUTHORITY_DAYS
) -> x509.Certificate:
    """Make the certificate of an authority, which signs hosts and no other authority."""
    name = _name("domwarden authority")
    usage = x509.KeyUsage(**_NO_USE, digital_signature=False, key_cert_sign=True, crl_sign=True)
    builder = _builder(name, name, key.public_key(), now, now + datetime.timedelta(days=days))
    return (
        builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), False)
        .sign(key, hashes.SHA256())
    )


def host(
    name: str,
    public_key: ec.EllipticCurvePublicKey,
    issuer: x509.Certificate,
    issuer_key: ec.EllipticCurvePrivateKey,
    now: datetime.datetime,
    days: int = HOST_DAYS,
) -> x509.Certificate:
    """Make the certificate of a host: either end of a connection shows the same one.

    It names the host as its peers' host files do, and ends with its authority's at the latest.
    """
    usage = x509.KeyUsage(**_NO_USE, digital_signature=True, key_cert_sign=False, crl_sign=False)
    end = min(now + datetime.timedelta(days=days), issuer.not_valid_after_utc)
    builder = _builder(_name(name), issuer.subject, public_key, now, end)
    purposes = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    known_by = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    return (
        builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        # Not critical: QEMU's check of such ones is older than keys that only sign.
        .add_extension(usage, critical=False)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        .add_extension(known_by, critical=False)
        .sign(issuer_key, hashes.SHA256())
    )


def _name(common: str) -> x509.Name:
    return x509.Name([
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "domwarden"),
        x509.NameAttribute(NameOID.COMMON_NAME, common),
    ])  # fmt: skip


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    now: datetime.datetime,
    end: datetime.datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SKEW)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )

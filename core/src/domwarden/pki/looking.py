"""Says what the certificates of a directory are worth today."""

from __future__ import annotations

import dataclasses
import datetime
import enum
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes

from domwarden.contract import PermanentError
from domwarden.contract.streams import AUTHORITY
from domwarden.pki.directory import Directory, read_certificate

#: So long before its end a certificate is told to be renewed.
SOON = datetime.timedelta(days=30)


class Standing(enum.StrEnum):
    """Whether a peer would take a certificate."""

    UNKNOWN = "unknown"  #: there is no authority here to ask
    VALID = "valid"
    SOON = "ends soon"
    EXPIRED = "expired"
    EARLY = "not valid yet"
    FOREIGN = "of another authority"


@dataclasses.dataclass(frozen=True)
class Known:
    """One certificate of the directory."""

    file: Path
    #: Whom it names: a host, or the authority.
    names: tuple[str, ...]
    standing: Standing
    not_after: datetime.datetime
    fingerprint: str
    #: Whether its key lies beside it.
    has_key: bool

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "file": str(self.file),
            "names": list(self.names),
            "standing": self.standing,
            "not_after": self.not_after.isoformat(),
            "sha256": self.fingerprint,
            "has_key": self.has_key,
        }


def known(directory: Path, now: datetime.datetime) -> list[Known]:
    """Return every certificate of a directory, the authority's first; raises PermanentError."""
    own = Directory(directory).files(AUTHORITY).certificate
    remedy = "make an authority: `domwarden pki init`"
    if not directory.is_dir():
        raise PermanentError(f"{directory}: no such directory", hint=remedy)
    files = sorted(directory.glob("*.pem"), key=lambda file: (file != own, file.name))
    read = {file: read_certificate(file, "remove it, or make it again") for file in files}
    return [_known(file, certificate, read.get(own), now) for file, certificate in read.items()]


def _known(
    file: Path,
    certificate: x509.Certificate,
    authority: x509.Certificate | None,
    now: datetime.datetime,
) -> Known:
    return Known(
        file,
        _names(certificate),
        _standing(certificate, authority, now),
        certificate.not_valid_after_utc,
        certificate.fingerprint(hashes.SHA256()).hex(),
        file.with_suffix(".key").exists(),
    )


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (x509.ExtensionNotFound, ValueError):
        return ()
    return tuple(names.value.get_values_for_type(x509.DNSName))


def _standing(
    certificate: x509.Certificate, authority: x509.Certificate | None, now: datetime.datetime
) -> Standing:
    if now > certificate.not_valid_after_utc:
        return Standing.EXPIRED
    if now < certificate.not_valid_before_utc:
        return Standing.EARLY
    if authority is None:
        return Standing.UNKNOWN
    try:
        certificate.verify_directly_issued_by(authority)
    except (InvalidSignature, ValueError, TypeError):
        return Standing.FOREIGN
    soon = now + SOON > certificate.not_valid_after_utc
    return Standing.SOON if soon else Standing.VALID

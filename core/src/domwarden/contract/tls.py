"""TLS between hosts: whom it takes, from which files, and how its refusals read."""

from __future__ import annotations

import ssl
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from domwarden.contract.errors import PermanentError
from domwarden.contract.streams import Tls

if TYPE_CHECKING:
    from domwarden.contract.domain import Host

#: What OpenSSL calls a failed handshake, and what it mostly means.
_REASONS: Mapping[str, str] = {
    "HTTP_REQUEST": "it speaks plain HTTP",
    "WRONG_VERSION_NUMBER": "it speaks no TLS",
    "UNSUPPORTED_PROTOCOL": "it speaks no TLS 1.3",
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "it shows no certificate",
}


def context(tls: Tls, *, server: bool) -> ssl.SSLContext:
    """Make the settings of one end: TLS 1.3, both ends show certificates of the authority.

    Whom a certificate names is for :func:`names`. Reads files; raises PermanentError.
    """
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False  # that would compare an address; hosts are known by their names
    made.verify_mode = ssl.CERT_REQUIRED
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    if server:
        made.num_tickets = 0  # a session that is taken up again shows no certificate
    _check_private(tls.key)
    try:
        made.load_verify_locations(tls.authority)
    except ssl.SSLError as error:
        raise PermanentError(f"{tls.authority} holds no certificate in PEM") from error
    except OSError as error:
        raise _unreadable(tls.authority, error) from error
    try:
        # Without a password, OpenSSL would ask for one at the terminal.
        made.load_cert_chain(tls.certificate, tls.key, password="")
    except ssl.SSLError as error:
        what = f"{tls.certificate} and {tls.key} are no certificate and its key: {why(error)}"
        raise PermanentError(what, hint="copy both from where they were made") from error
    except OSError as error:
        raise _unreadable(tls.certificate, error) from error
    return made


def names(certificate: Mapping[str, Any] | None) -> frozenset[str]:
    """Return the hosts that a verified certificate (of ``getpeercert``) names."""
    listed = (certificate or {}).get("subjectAltName", ())
    return frozenset(name for kind, name in listed if kind == "DNS")


def require(certificate: Mapping[str, Any] | None, peer: str) -> None:
    """Raise PermanentError unless a verified certificate names that host."""
    named = names(certificate)
    if peer not in named:
        who = ", ".join(map(repr, sorted(named))) or "nobody"
        raise PermanentError(f"its certificate names {who}, not {peer!r}")


def check(host: Host) -> None:
    """See that a host's own files would convince both kinds of peers; raises PermanentError.

    The host shakes hands with itself, in memory.  The common name must be the host's too, for QEMU
    knows a client by its certificate's subject.
    """
    files = host.credentials
    here, there = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        context(files, server=True).wrap_bio(here, there, server_side=True),
        context(files, server=False).wrap_bio(there, here),
    ]
    try:
        for end in (*reversed(ends), *ends, *ends):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue  # the other end's turn
    except ssl.SSLError as error:
        raise PermanentError(f"{files.certificate}: {why(error)}") from error
    shown: Any = ends[0].getpeercert() or {}
    subject = dict(pair for part in shown.get("subject", ()) for pair in part)
    if host.name not in names(shown) or subject.get("commonName") != host.name:
        what = f"{files.certificate} does not name {host.name}"
        raise PermanentError(what, hint="its common name and a DNS name of it must be the host's")


def why(error: BaseException) -> str:
    """Say in a few words why a connection came to nothing."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate does not hold: {error.verify_message}"
    if isinstance(error, ssl.SSLError) and error.reason:
        return _REASONS.get(error.reason, error.reason.lower().replace("_", " "))
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


def _check_private(key: Path) -> None:
    try:
        mode = key.stat().st_mode
    except OSError as error:
        raise _unreadable(key, error) from error
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        raise PermanentError(f"anybody may read the key {key}", hint=f"chmod 600 {key}")


def _unreadable(path: Path, error: OSError) -> PermanentError:
    return PermanentError(
        f"{path}: {error.strerror}",
        hint="make it by `domwarden pki` and copy it here, or name another under tls",
    )

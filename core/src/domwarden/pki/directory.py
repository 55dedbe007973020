"""The directory in which an authority and its hosts' certificates are kept."""

from __future__ import annotations

import dataclasses
import datetime
import os
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from domwarden.config.keys import HOST_NAME, NAMED_HOST, matches
from domwarden.contract import PermanentError
from domwarden.contract.streams import AUTHORITY, Tls
from domwarden.pki import issuing


@dataclasses.dataclass(frozen=True)
class Made:
    """The two files of an authority or a host."""

    certificate: Path
    key: Path


class Directory:
    """PEM files: ``authority.pem``, ``authority.key``, and ``NAME.pem``, ``NAME.key`` of each host.

    Keys are readable by their owner alone and never written over.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def files(self, name: str) -> Made:
        """Return where the files of that name are, or would be."""
        usual = Tls.usual(name, self.path)
        return Made(usual.certificate, usual.key)

    def create_authority(self, now: datetime.datetime) -> Made:
        """Make an authority; raises PermanentError where there is one."""
        self._create_directory()
        key = issuing.new_key()
        return self._write_both(AUTHORITY, key, issuing.authority(key, now))

    def create_host(self, name: str, now: datetime.datetime, days: int) -> Made:
        """Make a host's key and certificate; raises PermanentError where it has some."""
        _check_name(name)
        issuer, issuer_key = self._authority()
        key = issuing.new_key()
        certificate = issuing.host(name, key.public_key(), issuer, issuer_key, now, days)
        return self._write_both(name, key, certificate)

    def renew_host(self, name: str, now: datetime.datetime, days: int) -> Made:
        """Make another certificate for the key that a host has; raises PermanentError."""
        _check_name(name)
        issuer, issuer_key = self._authority()
        files = self.files(name)
        key = _read_key(files.key, f"make them: `domwarden pki host {name}`")
        certificate = issuing.host(name, key.public_key(), issuer, issuer_key, now, days)
        beside = files.certificate.with_suffix(".pem.new")
        try:
            beside.unlink(missing_ok=True)
            _write(beside, issuing.certificate_pem(certificate), 0o644)
            beside.replace(files.certificate)
        except OSError as error:
            raise _cannot(files.certificate, error) from error
        return files

    def _create_directory(self) -> None:
        try:
            self.path.mkdir(mode=0o755, parents=True, exist_ok=True)
        except OSError as error:
            raise _cannot(self.path, error) from error

    def _authority(self) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
        files = self.files(AUTHORITY)
        remedy = "make an authority: `domwarden pki init`"
        key = _read_key(files.key, remedy)
        certificate = read_certificate(files.certificate, remedy)
        if certificate.public_key() != key.public_key():
            raise PermanentError(
                f"{files.key} is not the key of {files.certificate}",
                hint="copy both from where they were made",
            )
        return certificate, key

    def _write_both(
        self, name: str, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate
    ) -> Made:
        files = self.files(name)
        if files.certificate.exists():
            raise _there(files.certificate, name)
        try:
            _write(files.key, issuing.key_pem(key), 0o600)
        except FileExistsError:
            raise _there(files.key, name) from None
        except OSError as error:
            raise _cannot(files.key, error) from error
        try:
            _write(files.certificate, issuing.certificate_pem(certificate), 0o644)
        except OSError as error:
            files.key.unlink()  # it signs for nobody yet
            raise _cannot(files.certificate, error) from error
        return files


def read_certificate(path: Path, remedy: str) -> x509.Certificate:
    """Read a certificate; raises PermanentError with the remedy as its hint."""
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except OSError as error:
        raise PermanentError(f"{path}: {error.strerror}", hint=remedy) from error
    except ValueError as error:
        raise PermanentError(f"{path} is no certificate in PEM", hint=remedy) from error


def _read_key(path: Path, remedy: str) -> ec.EllipticCurvePrivateKey:
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise PermanentError(f"{path}: {error.strerror}", hint=remedy) from error
    except (ValueError, TypeError) as error:  # TypeError: it wants a password
        raise PermanentError(f"{path} is no private key in PEM", hint=remedy) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise PermanentError(f"{path} was not made by `domwarden pki`", hint=remedy)
    return key


def _write(path: Path, content: bytes, mode: int) -> None:
    """Make a file that is not there yet, whole and on the disk."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        path.unlink()
        raise


def _check_name(name: str) -> None:
    if not matches(HOST_NAME, name):
        raise PermanentError(f"{name!r} is no name for a host", hint=NAMED_HOST)
    if name == AUTHORITY:
        raise PermanentError(
            f"{name} is what the authority's files are called", hint="another name"
        )


def _there(path: Path, name: str) -> PermanentError:
    remedy = "remove both of its files first"
    if name == AUTHORITY:
        remedy = "hosts that trust it would trust no other: keep it"
    elif path.suffix == ".pem" or path.with_suffix(".key").exists():
        remedy = f"for a certificate that is valid longer: `domwarden pki host --renew {name}`"
    return PermanentError(f"{path} exists already, and is not written over", hint=remedy)


def _cannot(path: Path, error: OSError) -> PermanentError:
    return PermanentError(f"{path} cannot be written: {error.strerror}", hint="run it as root")

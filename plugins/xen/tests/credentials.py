"""Files by which the ends of a link know each other, made by `domwarden pki`."""

from __future__ import annotations

import datetime
from pathlib import Path

from domwarden.contract import Tls
from domwarden.pki import Directory


class Authority:
    """An authority in a directory; shim orders name its hosts' files."""

    def __init__(self, directory: Path) -> None:
        self._pki = Directory(directory)
        self._pki.create_authority(datetime.datetime.now(datetime.UTC))

    def host(self, name: str) -> Tls:
        """Make a host's certificate and key; returns its files."""
        self._pki.create_host(name, datetime.datetime.now(datetime.UTC), 1)
        return Tls.usual(name, self._pki.path)

    def order(self, name: str, peer: str) -> dict[str, str]:
        """Return what an order says to the shim of a host that talks to a peer."""
        files = Tls.usual(name, self._pki.path)
        return {
            "authority": str(files.authority),
            "certificate": str(files.certificate),
            "key": str(files.key),
            "peer": peer,
        }

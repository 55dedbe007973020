"""Certificates for hosts of a test, made as `domwarden pki` makes them."""

from __future__ import annotations

import datetime
from pathlib import Path

from domwarden.contract import Tls
from domwarden.pki import Directory


class Authority:
    """An authority in a new directory; needs ``domwarden[pki]``.

    Its certificates hold since ``age_days`` ago, for machines whose clocks differ, and as long from
    now on.
    """

    def __init__(self, directory: Path, *, age_days: int = 1) -> None:
        self.pki = Directory(directory)
        self._begun = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=age_days)
        self._days = 2 * age_days + 1
        self.pki.create_authority(self._begun)

    def host(self, name: str, *, days: int | None = None) -> Tls:
        """Make a host's certificate, which may hold for fewer days, and key; returns its files."""
        self.pki.create_host(name, self._begun, days or self._days)
        return Tls.usual(name, self.pki.path)

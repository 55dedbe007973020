"""Where the engine keeps what belongs to one domain on one host."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Mapping
from pathlib import Path

from domwarden.contract import Host

#: Every process that makes or keeps a copy for us carries this variable with the domain's folder
#: in it, so that xl's monitor and a half-done restore are found again, whoever started them.
MARK = "DOMWARDEN_XEN_DOMAIN"


@dataclasses.dataclass(frozen=True)
class Files:
    """The paths of one domain; its folder is 0700."""

    host: Host
    name: str

    @property
    def directory(self) -> Path:
        """What exists only while a copy of the domain, or its remains, are here."""
        return self.host.domain_directory(self.name) / "xen"

    @property
    def record(self) -> Path:
        """What the engine remembers of the copy."""
        return self.directory / "record.json"

    @property
    def config(self) -> Path:
        """The xl configuration the copy was started with."""
        return self.directory / "domain.cfg"

    @property
    def notes(self) -> Path:
        """What this engine did to the domain, for whoever follows its events."""
        return self.directory / "notes.jsonl"

    @property
    def reported(self) -> Path:
        """The highest domid whose end was told to a follower."""
        return self.directory / "reported"

    @property
    def lock(self) -> Path:
        """Held while the copy is being changed."""
        return self.directory / "lock"

    @property
    def log(self) -> Path:
        """What our own processes around the domain said; it outlives the domain."""
        return self.host.state_directory / "logs" / f"{self.name}.xen.log"

    @property
    def dumps(self) -> Path:
        """Where memory dumps of hung guests go; they outlive the domain."""
        return self.host.state_directory / "dumps"

    @property
    def environment(self) -> Mapping[str, str]:
        """What marks a process as this domain's."""
        return {MARK: str(self.directory)}

    def create(self) -> None:
        """Make the folders."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.directory.parent.chmod(0o700)
        self.log.parent.mkdir(mode=0o700, exist_ok=True)

    def clear(self) -> None:
        """Remove what an earlier copy left, but for the lock that the caller holds."""
        # The record goes last: as long as anything is left, the domain counts as being here.
        for path in self.directory.glob("*"):
            if path not in (self.record, self.lock):
                path.unlink(missing_ok=True)
        self.record.unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove what exists only while the domain is here; idempotent."""
        self.clear()
        shutil.rmtree(self.directory, ignore_errors=True)
        try:
            self.directory.parent.rmdir()
        except OSError:
            pass  # a device's files, or the core's, are still in it

"""Where a TPM's state and sockets lie in the domain's directory on a host."""

from __future__ import annotations

import dataclasses
import enum
import re
from pathlib import Path

from domwarden.contract import (
    Domain,
    EmbeddedControl,
    End,
    Movement,
    PermanentError,
    QemuControl,
)

_MIGRATION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)


class Carrier(enum.StrEnum):
    """Who keeps the TPM's state on the domain's engine."""

    #: Nobody we know of: an engine that moves TPMs by the external tool alone.
    UNKNOWN = "unknown"
    #: A swtpm process beside QEMU.
    SWTPM = "swtpm"
    #: The model in the embedded machine.
    MODEL = "model"


def carrier(domain: Domain) -> Carrier:
    """Tell by the controls that the engine offers."""
    if domain.control(QemuControl) is not None:
        return Carrier.SWTPM
    if domain.control(EmbeddedControl) is not None:
        return Carrier.MODEL
    return Carrier.UNKNOWN


@dataclasses.dataclass(frozen=True)
class Places:
    """The paths of one TPM on one host; those with a migration's id belong to that migration."""

    directory: Path
    device: str
    migration: str

    @classmethod
    def of(cls, domain: Domain) -> Places:
        """Return the paths; raises PermanentError for an id that names no file."""
        if domain.migration and not _MIGRATION.fullmatch(domain.migration):
            raise PermanentError(f"'{domain.migration}' is no migration's id: it names no file")
        return cls(domain.directory, domain.device, domain.migration)

    @property
    def state(self) -> Path:
        """The directory of the TPM's state."""
        return self.directory / f"{self.device}.tpm"

    @property
    def arriving(self) -> Path:
        """The directory in which a state arrives, until it is complete and its guest runs."""
        return self.directory / f".{self.device}.tpm.{self.migration}"

    @property
    def replaced(self) -> Path:
        """The state that a restored one replaces."""
        return self.directory / f".{self.device}.tpm.replaced-{self.migration}"

    @property
    def departed(self) -> Path:
        """The state that a migration took away."""
        return self.directory / f"{self.device}.tpm.moved-{self.migration}"

    @property
    def socket(self) -> Path:
        """swtpm's control channel."""
        return self.directory / f"{self.device}.ctrl"

    @property
    def log(self) -> Path:
        """What swtpm says."""
        return self.directory / f"{self.device}.swtpm.log"

    def leftovers(self) -> list[Path]:
        """Return states that arrived or left under a migration's name."""
        arrived = self.directory.glob(f".{_escaped(self.device)}.tpm.*")
        return [
            *sorted(arrived),
            *sorted(self.directory.glob(f"{_escaped(self.device)}.tpm.moved-*")),
        ]


def arrives(domain: Domain) -> bool:
    """Say whether this end's state comes from elsewhere."""
    return domain.end is End.DESTINATION and domain.movement in {Movement.MIGRATE, Movement.RESTORE}


def _escaped(name: str) -> str:
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)

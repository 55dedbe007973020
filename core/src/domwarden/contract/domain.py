"""What a hook is told about its domain."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

from domwarden.contract.definition import Definition
from domwarden.contract.jobs import Ticket
from domwarden.contract.steps import End, Movement
from domwarden.contract.streams import Stream, Tls

ControlT = TypeVar("ControlT")


@dataclasses.dataclass(frozen=True)
class Host:
    """The machine a hook runs on, from its host file.

    ``drivers`` maps a driver's or engine's name to its own section of the host file (bridge names,
    the external TPM tool), validated by that driver's ``HOST_SCHEMA``.  ``streams`` is how memory
    and disks travel to and from other machines, ``tls`` the files for it, where they are not the
    usual ones.
    """

    name: str
    state_directory: Path
    drivers: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    streams: Stream = Stream.TLS
    tls: Tls | None = None

    @property
    def credentials(self) -> Tls:
        """The files that its links and streams use."""
        return self.tls or Tls.usual(self.name)

    def settings(self, driver: str) -> Mapping[str, Any]:
        """Return the driver's section of the host file, empty where there is none."""
        return self.drivers.get(driver, {})

    def domain_directory(self, domain: str) -> Path:
        """Return where this host keeps a domain's sockets and small state."""
        return self.state_directory / "domains" / domain

    def as_json(self) -> dict[str, Any]:
        """Return the host as plain data, for another process on the same machine."""
        files = self.tls and [self.tls.authority, self.tls.certificate, self.tls.key]
        return {
            "name": self.name,
            "state_directory": str(self.state_directory.absolute()),
            "drivers": {name: dict(section) for name, section in self.drivers.items()},
            "streams": self.streams,
            "tls": files and [str(path.absolute()) for path in files],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Host:
        """Rebuild a host from what :meth:`as_json` returned."""
        return cls(
            data["name"],
            Path(data["state_directory"]),
            data["drivers"],
            Stream(data["streams"]),
            Tls(*map(Path, data["tls"])) if data["tls"] else None,
        )


def _no_control(_protocol: type) -> None:
    """Answer every request for a control with none."""


@dataclasses.dataclass(frozen=True)
class Domain:
    """One domain as one of its devices sees it at one moment; plain facts, no I/O.

    ``definition`` is the live definition once the domain was started.  ``device`` is the YAML id of
    the device that is asked.  ``ticket`` is the last ticket the device's *other* end gave in this
    migration, ``given`` the last one *this* end gave (a rebuilt driver object knows what it did).
    ``peer`` names the other host, or the save's path.
    """

    definition: Definition
    host: Host
    end: End = End.SOURCE
    device: str = ""
    running: bool = False
    movement: Movement | None = None
    migration: str = ""
    peer: str = ""
    ticket: Ticket | None = None
    given: Ticket | None = None
    controls: Callable[[type], object | None] = _no_control

    @property
    def name(self) -> str:
        """The domain's name."""
        return self.definition.name

    @property
    def directory(self) -> Path:
        """This host's directory for the domain."""
        return self.host.domain_directory(self.name)

    def control(self, protocol: type[ControlT]) -> ControlT | None:
        """Return the engine's handle of that protocol (``QemuControl``); None on another engine."""
        return cast("ControlT | None", self.controls(protocol))

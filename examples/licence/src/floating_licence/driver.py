"""The driver ``licence``: a floating licence that one host at a time holds for one domain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import voluptuous as vol

from domwarden.contract import (
    Domain,
    Job,
    Machine,
    Movement,
    QemuArgument,
    Step,
    duration,
    hookimpl,
    path,
)
from floating_licence.lease import Lease


class Licence:
    """The guest's software may run only while its host holds the licence.

    Licences are files in a directory that all hosts mount; one rename hands a licence over.
    """

    contract = 1
    SCHEMA: Mapping[Any, Any] = {
        vol.Required("licence", description="The name of the licence."): vol.All(
            str, vol.Match(r"[A-Za-z0-9-]+\Z", msg="expected letters, digits and '-'")
        ),
        vol.Optional(
            "timeout", default="10s", description="How long the share may take."
        ): duration,
    }
    HOST_SCHEMA: Mapping[Any, Any] = {
        vol.Required("directory", description="Where this host mounts the licences."): path,
    }

    def __init__(self, device: str, options: Mapping[str, Any]) -> None:
        self.name: str = options["licence"]
        self.timeout_seconds: float = options["timeout"]

    @hookimpl
    def attach(self, domain: Domain, machine: Machine) -> bool:
        """Join an embedded machine, which sees nothing of it."""
        return True

    @hookimpl
    def qemu_args(self, domain: Domain) -> list[QemuArgument]:
        """Join a QEMU command line, which sees nothing of it."""
        return []

    @hookimpl
    def xl_config(self, domain: Domain) -> Mapping[str, Any]:
        """Join an xl configuration, which sees nothing of it."""
        return {}

    @hookimpl
    def open(self, domain: Domain) -> Job | None:
        """Take the licence for a domain that starts here; one that moves brings it along."""
        return self._job("take", self._lease(domain).take) if domain.movement is None else None

    @hookimpl
    def close(self, domain: Domain) -> Job:
        """Give back what this host still holds; nothing, after a move."""
        return self._job("give back", self._lease(domain).give_back)

    @hookimpl
    def migrate(self, domain: Domain, step: Step) -> Job | None:
        """Look whether the licence is here; lay it down once the domain stands still."""
        if step is Step.TEST:
            return self._job("look", self._lease(domain).look)
        if step is Step.START:
            return self._job("lay down", self._lease(domain).lay_down)
        return None

    @hookimpl
    def receive(self, domain: Domain, step: Step) -> Job | None:
        """Look whether the licence can come here, try the share, pick up what was laid down."""
        if step is Step.TEST:
            return self._job("look", self._lease(domain).look_from_afar)
        if step is Step.PREPARE:
            return self._job("try", self._lease(domain).try_share)
        if step is Step.SYNC:
            return self._job("pick up", self._lease(domain).pick_up)
        return None

    @hookimpl
    def recover(self, domain: Domain, step: Step) -> Job | None:
        """Put the licence back to where the domain goes on."""
        return self._job("put back", self._lease(domain).put_back) if step >= Step.PREPARE else None

    @hookimpl
    def finish(self, domain: Domain) -> Job | None:
        """Let others have the licence of a domain that was saved."""
        if domain.movement is not Movement.SAVE:
            return None
        return self._job("give back", self._lease(domain).give_back)

    @hookimpl
    def describe(self, domain: Domain) -> Mapping[str, Any]:
        """Name the licence."""
        return {"licence": self.name}

    def _lease(self, domain: Domain) -> Lease:
        return Lease(self.name, domain, domain.host.settings("licence").get("directory"))

    def _job(self, name: str, run: Any) -> Job:
        return Job(f"{name} {self.name}", run, self.timeout_seconds)

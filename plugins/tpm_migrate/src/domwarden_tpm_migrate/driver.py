"""The driver ``tpm``: what each hook decides."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from domwarden.contract import (
    Domain,
    End,
    Job,
    Machine,
    Movement,
    PermanentError,
    QemuArgument,
    Refusal,
    Step,
    hookimpl,
)
from domwarden_tpm_migrate import opening
from domwarden_tpm_migrate.destination import DestinationJobs
from domwarden_tpm_migrate.model import TpmModel
from domwarden_tpm_migrate.options import HOST_SCHEMA, SCHEMA, Move, Options, ToolSettings
from domwarden_tpm_migrate.places import Places, arrives, carrier
from domwarden_tpm_migrate.registers import plug
from domwarden_tpm_migrate.source import SourceJobs

#: Ending or starting swtpm, and writing a few kilobytes durably.
_SECONDS = 30.0
#: More than the tool's own time-out, so that its own message is heard.
_GRACE_SECONDS = 10.0


class Tpm:
    """The virtual TPM of a domain: swtpm beside QEMU, a small model in an embedded machine."""

    contract = 1
    SCHEMA = SCHEMA
    HOST_SCHEMA = HOST_SCHEMA

    def __init__(self, id: str, options: Mapping[str, Any]) -> None:  # noqa: A002 - the contract's name
        self.id = id
        self.options = Options.of(options)

    @hookimpl(optionalhook=True)
    def qemu_args(self, domain: Domain) -> list[QemuArgument]:
        """A channel to swtpm, QEMU's backend on it, and the guest's interface."""
        socket = str(Places.of(domain).socket)
        channel, backend = f"{self.id}-channel", f"{self.id}-backend"
        return [
            QemuArgument("chardev", {"backend": "socket", "id": channel, "path": socket}),
            QemuArgument("tpmdev", {"type": "emulator", "id": backend, "chardev": channel}),
            QemuArgument(
                "device",
                {"driver": f"tpm-{self.options.model}", "id": self.id, "tpmdev": backend},
            ),
        ]

    @hookimpl(optionalhook=True)
    def xl_config(self, domain: Domain) -> Mapping[str, Any]:
        """Nothing for Xen itself: the external tool serves the TPM and moves its state.

        Raises PermanentError for a TPM that would have to be in the stream.
        """
        if self.options.move is not Move.TOOL:
            raise PermanentError(f"TPM {self.id}: xen's stream carries none", hint="say move: tool")
        return {}

    @hookimpl(optionalhook=True)
    def attach(self, domain: Domain, machine: Machine) -> bool:
        """Put the model on the memory bus."""
        places = Places.of(domain)
        by_tool = self.options.move is Move.TOOL
        elsewhere = arrives(domain) and not by_tool
        model = TpmModel(places.arriving if elsewhere else places.state, by_tool=by_tool)
        plug(machine, self.id, model)
        return True

    @hookimpl
    def open(self, domain: Domain) -> Job:
        """Make the state's directory; start swtpm."""
        run = functools.partial(opening.open_tpm, domain, self.options)
        return Job(f"{self.id}: open", run, _SECONDS)

    @hookimpl
    def close(self, domain: Domain) -> Job:
        """End swtpm; remove what is no longer needed."""
        return Job(f"{self.id}: close", functools.partial(opening.close_tpm, domain), _SECONDS)

    @hookimpl
    def migrate(self, domain: Domain, step: Step) -> Job | Refusal | None:
        """Take part on the source."""
        jobs = SourceJobs(domain, self.options)
        if step is Step.TEST:
            return jobs.refusal() or self._job(domain, step.name, jobs.test)
        return self._job(domain, step.name, functools.partial(jobs.step, step))

    @hookimpl
    def receive(self, domain: Domain, step: Step) -> Job | None:
        """Take part on the destination."""
        jobs = DestinationJobs(domain, self.options)
        if step is Step.TEST:
            return self._job(domain, step.name, jobs.test)
        return self._job(domain, step.name, jobs.sync) if step is Step.SYNC else None

    @hookimpl
    def recover(self, domain: Domain, step: Step) -> Job | None:
        """Tell the tool; remove what arrived."""
        if domain.end is End.DESTINATION:
            return self._job(domain, "recover", DestinationJobs(domain, self.options).recover)
        source = SourceJobs(domain, self.options)
        if not source.uses_tool:
            return None
        return self._job(domain, "recover", functools.partial(source.recover, step))

    @hookimpl
    def finish(self, domain: Domain) -> Job | None:
        """Give the arrived state its name there; take the old one's name away here."""
        if domain.end is End.DESTINATION:
            return self._job(domain, "finish", DestinationJobs(domain, self.options).finish)
        if domain.movement is not Movement.MIGRATE:
            return None
        return self._job(domain, "finish", SourceJobs(domain, self.options).finish)

    @hookimpl
    def describe(self, domain: Domain) -> Mapping[str, Any]:
        """What keeps the TPM and how it moves."""
        return {
            "model": str(self.options.model),
            "move": str(self.options.move),
            "carrier": str(carrier(domain)),
            "encrypted": bool(self.options.key_file),
        }

    def _job(self, domain: Domain, what: str, run: Any) -> Job:
        seconds = ToolSettings.of(domain.host).timeout_seconds + _GRACE_SECONDS
        return Job(f"{self.id}: {what}", run, max(_SECONDS, seconds))

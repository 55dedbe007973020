"""The driver ``blk``: what each hook decides."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from domwarden.contract import (
    Domain,
    End,
    Job,
    JobContext,
    JobResult,
    Machine,
    Movement,
    QemuArgument,
    Refusal,
    ResetKind,
    Step,
    hookimpl,
)
from domwarden_blk import opening
from domwarden_blk.arguments import disk_arguments
from domwarden_blk.disk import Disk, plug
from domwarden_blk.disk_commands import DiskCommands
from domwarden_blk.mirror_source import MirrorSourceJobs
from domwarden_blk.mirror_target import MirrorTargetJobs
from domwarden_blk.names import on_host
from domwarden_blk.options import HOST_SCHEMA, SCHEMA, Options, Placement
from domwarden_blk.saved import Saved
from domwarden_blk.shared import Shared
from domwarden_blk.xen import is_linked, unlink, xen_disk

Run = Callable[[JobContext], Awaitable[JobResult]]

#: A job of a mirror may say nothing for so long; copying and comparing report as they go.
_MIRROR_SECONDS = 60.0


class Blk:
    """One disk of a domain: shared between hosts, mirrored or copied along, or local."""

    contract = 1
    SCHEMA = SCHEMA
    HOST_SCHEMA = HOST_SCHEMA

    def __init__(self, id: str, options: Mapping[str, Any]) -> None:  # noqa: A002 - the contract's name
        self.id = id
        self.options = Options.of(options)

    @hookimpl(optionalhook=True)
    def qemu_args(self, domain: Domain) -> list[QemuArgument]:
        """Two block nodes and a virtio card."""
        image = opening.image_of(domain, self.options)
        return disk_arguments(
            self.id,
            self.options,
            image,
            is_device=opening.is_node(image),
            arrives=opening.arrives(domain, self.options),
        )

    @hookimpl(optionalhook=True)
    def xl_config(self, domain: Domain) -> Mapping[str, Any]:
        """One disk; the guest calls it by its place among the disks of the file."""
        image = opening.image_of(domain, self.options)
        return {"disk": [xen_disk(domain, self.options, image)]}

    @hookimpl(optionalhook=True)
    def attach(self, domain: Domain, machine: Machine) -> bool:
        """Put the contract's disk on the memory bus."""
        disk = Disk(opening.image_of(domain, self.options), readonly=self.options.readonly)
        plug(machine, disk)
        machine.add_state(f"{self.id}/disk", disk.save, disk.load)
        machine.add_reset(functools.partial(_reset, disk))
        DiskCommands(self.id, disk).offer(machine)
        return True

    @hookimpl
    def open(self, domain: Domain) -> Job:
        """Check the image, or make the mirror's target."""
        run = functools.partial(opening.open_disk, domain, self.options)
        return Job(f"{self.id}: open", run, _MIRROR_SECONDS)

    @hookimpl
    def close(self, domain: Domain) -> Job | None:
        """Remove a mirror's target whose move went back; every other image stays."""
        if opening.arrives(domain, self.options):
            return self._after(domain, "close")
        if is_linked(domain, self.options):
            return Job(f"{self.id}: close", functools.partial(unlink, domain))
        return None

    @hookimpl
    def migrate(self, domain: Domain, step: Step) -> Job | Refusal | None:
        """Take part on the source."""
        if domain.movement is Movement.SAVE:
            return self._job(step, {Step.TEST: Saved(domain, self.options).check_save})
        if self.options.placement is Placement.LOCAL:
            return self._local(domain) if step is Step.TEST else None
        if self.options.placement is Placement.SHARED:
            shared = Shared(domain, self.options)
            return self._job(
                step, {Step.TEST: shared.check_source, Step.PREPARE: shared.prepare_source}
            )
        mirror = MirrorSourceJobs(domain, self.options)
        return self._job(
            step,
            {
                Step.TEST: mirror.test,
                Step.PREPARE: mirror.prepare,
                Step.START: mirror.start,
                Step.SYNC: mirror.sync,
            },
        )

    @hookimpl
    def receive(self, domain: Domain, step: Step) -> Job | None:
        """Take part on the destination."""
        if domain.movement is Movement.RESTORE:
            return self._job(step, {Step.TEST: Saved(domain, self.options).check_restore})
        if self.options.placement is Placement.LOCAL:
            return None
        if self.options.placement is Placement.SHARED:
            shared = Shared(domain, self.options)
            return self._job(
                step,
                {Step.TEST: shared.check_destination, Step.PREPARE: shared.prepare_destination},
            )
        mirror = MirrorTargetJobs(domain, self.options)
        return self._job(
            step,
            {Step.TEST: mirror.test, Step.PREPARE: mirror.prepare, Step.SYNC: mirror.sync},
        )

    @hookimpl
    def recover(self, domain: Domain, step: Step) -> Job | None:
        """Remove what this migration made; the same whatever step was the last."""
        del step
        return self._after(domain, "recover")

    @hookimpl
    def finish(self, domain: Domain) -> Job | None:
        """Give the image its name there, put the old one away here."""
        return self._after(domain, "finish")

    @hookimpl
    def describe(self, domain: Domain) -> Mapping[str, Any]:
        """What and where the disk is."""
        return {
            "image": str(on_host(self.options.source, domain.host)),
            "format": str(self.options.format),
            "placement": str(self.options.placement),
            "cache": str(self.options.cache),
            "readonly": self.options.readonly,
        }

    def _after(self, domain: Domain, what: str) -> Job | None:
        if domain.movement is not Movement.MIGRATE or self.options.placement is Placement.LOCAL:
            return None
        run: Run
        if self.options.placement is Placement.SHARED:
            run = Shared(domain, self.options).clean
        elif domain.end is End.SOURCE:
            source = MirrorSourceJobs(domain, self.options)
            run = source.finish if what == "finish" else source.recover
        else:
            target = MirrorTargetJobs(domain, self.options)
            run = target.finish if what == "finish" else target.recover
        return Job(f"{self.id}: {what}", run, _MIRROR_SECONDS)

    def _job(self, step: Step, jobs: Mapping[Step, Run]) -> Job | None:
        if step not in jobs:
            return None
        return Job(f"{self.id}: {step.name}", jobs[step], _MIRROR_SECONDS)

    def _local(self, domain: Domain) -> Refusal:
        return Refusal(
            "local-disk",
            f"{on_host(self.options.source, domain.host)} is on this host only (placement: local)",
            "use placement: mirror (or copy) to take it along, or shared if both hosts see it",
            device=self.id,
        )


def _reset(disk: Disk, _kind: ResetKind) -> None:
    disk.reset()

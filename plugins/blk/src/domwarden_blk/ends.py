"""What a mirror or a copy needs, on either end."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

from domwarden.contract import Domain, EmbeddedControl, JobContext, PermanentError, QemuControl
from domwarden_blk.options import Placement

#: A QAPI ``SocketAddress`` as plain data.
SocketAddress = Mapping[str, Any]

EndT = TypeVar("EndT")


class MirrorSource(Protocol):
    """The end that has the disk; every method may be called again after a crash."""

    async def copy(self, address: SocketAddress, context: JobContext) -> None:
        """Copy the disk while the guest writes it; return once only late writes are missing."""

    async def settle(self, address: SocketAddress, context: JobContext) -> None:
        """The guest is suspended: let the last writes go."""

    async def settled(self) -> None:
        """Return once both ends hold the same and nothing connects them; raises if they do not."""

    async def digests(self, context: JobContext) -> list[str]:
        """Return what the suspended guest's disk holds."""

    async def undo(self) -> None:
        """Stop mirroring."""


class MirrorTarget(Protocol):
    """The end that gets the disk; every method may be called again after a crash."""

    async def offer(self) -> SocketAddress:
        """Let the source write the target; return where."""

    async def digests(self, context: JobContext) -> list[str]:
        """Return what arrived."""

    async def withdraw(self) -> None:
        """Let nobody write the target but this domain."""


def source_of(domain: Domain, image: Path, placement: Placement) -> MirrorSource | None:
    """Return the source's end on the domain's engine; None where that is not possible."""
    from domwarden_blk.copying import CopySource
    from domwarden_blk.embedded_mirror import EmbeddedSource
    from domwarden_blk.qemu_source import QemuSource

    qemu = domain.control(QemuControl)
    if qemu is not None:
        return QemuSource(domain, qemu) if placement is Placement.MIRROR else None
    if placement is Placement.COPY:
        return CopySource(domain, image)
    embedded = domain.control(EmbeddedControl)
    return None if embedded is None else EmbeddedSource(domain, embedded, image)


def target_of(domain: Domain, image: Path, placement: Placement) -> MirrorTarget | None:
    """Return the destination's end on the domain's engine; None where that is not possible."""
    from domwarden_blk.copying import CopyTarget
    from domwarden_blk.embedded_mirror import EmbeddedTarget
    from domwarden_blk.qemu_target import QemuTarget

    qemu = domain.control(QemuControl)
    if qemu is not None:
        return QemuTarget(domain, qemu) if placement is Placement.MIRROR else None
    if placement is Placement.COPY:
        return CopyTarget(domain, image)
    embedded = domain.control(EmbeddedControl)
    return None if embedded is None else EmbeddedTarget(domain, embedded, image)


def present(end: EndT | None) -> EndT:
    """Return the end; raises PermanentError where the engine offers no control."""
    if end is None:
        raise PermanentError("the engine gives no control over the domain's disks right now")
    return end

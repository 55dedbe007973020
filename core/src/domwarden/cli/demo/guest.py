"""The guest of the demonstration, on either engine."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Protocol, cast

from domwarden.contract import DomwardenError, EmbeddedControl, Engine
from domwarden.testing.console import Console

_BOOT_STATUS = "its card says why it was reset: boot status {}"


class Guest(Protocol):
    """What the story asks of its guest."""

    async def ready(self, timeout_seconds: float) -> None:
        """Return once the guest answers."""

    async def guard(self, seconds: int) -> None:
        """Let the guest arm its watchdog and kick it."""

    async def hang(self) -> None:
        """Let the guest loop with interrupts off; no answer is awaited."""

    async def why_reset(self) -> str:
        """Return in words how one sees that it was reset."""

    async def work(self) -> str:
        """Give the guest something to lose, and let it count; return in words what it does."""

    async def facts(self) -> dict[str, str]:
        """Return what must be the same after the move."""

    async def counted(self) -> int:
        """Return how far the guest counted."""


class LinuxGuest:
    """The test guest under QEMU, on its serial console."""

    DISK = "/dev/vda"
    _OFFSET = 1 << 20

    def __init__(self, console: Console) -> None:
        self._console = console

    async def ready(self, timeout_seconds: float) -> None:
        """See that it answers."""
        await self._console.wait_ready(timeout_seconds=timeout_seconds)

    async def guard(self, seconds: int) -> None:
        """Arm and kick."""
        await self._console.command(f"watchdog start {seconds}")

    async def hang(self) -> None:
        """Loop with interrupts off."""
        await self._console.command("hang irqs-off")

    async def why_reset(self) -> str:
        """Ask the card's driver."""
        return _BOOT_STATUS.format(await self._console.command("bootstatus"))

    async def work(self) -> str:
        """Count, write, measure."""
        await self._console.command("tpm extend 16 domwarden")
        await self._console.command(f"write {self.DISK} {self._OFFSET} kept")
        await self._console.command(f"count start {self.DISK}")
        return "measures into its TPM and writes to its disk"

    async def facts(self) -> dict[str, str]:
        """Ask for what was given to it."""
        return {
            "MAC": await self._console.command("mac"),
            "TPM PCR 16": await self._console.command("tpm pcr 16"),
            "disk": await self._console.command(f"read {self.DISK} {self._OFFSET} 4"),
        }

    async def counted(self) -> int:
        """Ask how far it is."""
        await self._console.command("ping")
        return self._console.counts[-1].number if self._console.counts else 0


class EmbeddedGuest:
    """The guest of the embedded engine, through its hypervisor."""

    def __init__(self, control: EmbeddedControl) -> None:
        self._control = control

    async def _type(self, line: str) -> str:
        printed = await self._control.command("", "type", {"line": line})
        return " ".join(cast("list[str]", printed))

    async def ready(self, timeout_seconds: float) -> None:
        """See that it answers."""
        if "pong" not in await self._type("ping"):
            raise DomwardenError("the embedded guest does not answer")

    async def guard(self, seconds: int) -> None:
        """Arm and kick."""
        await self._type(f"watchdog start {seconds}")

    async def hang(self) -> None:
        """Loop with interrupts off."""
        await self._type("hang irqs-off")

    async def why_reset(self) -> str:
        """Ask the card's driver."""
        return _BOOT_STATUS.format((await self._type("watchdog status")).rpartition(" ")[2])

    async def work(self) -> str:
        """Count, measure."""
        digest = hashlib.sha256(b"domwarden").hexdigest()
        await self._control.command("tpm0", "extend", {"pcr": 16, "digest": digest})
        await self._type("count start 0.02")
        return "measures into its TPM and counts"

    async def facts(self) -> dict[str, str]:
        """Ask for what was given to it."""
        return {"TPM PCR 16": await self._control.command("tpm0", "pcr", {"pcr": 16})}

    async def counted(self) -> int:
        """Ask how far it is."""
        return int((await self._type("count")).rpartition(" ")[2])


@contextlib.asynccontextmanager
async def reach(engine: Engine, name: str) -> AsyncIterator[Guest]:
    """Give the domain's guest, whichever the engine; raises DomwardenError."""
    control: Any = engine.control(name, EmbeddedControl)
    if control is not None:
        yield EmbeddedGuest(control)
        return
    path = engine.console(name)
    if path is None:
        raise DomwardenError(f"{name} has no console to speak to")
    console = await Console.connect(Path(path))
    try:
        yield LinuxGuest(console)
    finally:
        await console.close()

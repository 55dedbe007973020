"""One copy of a domain on one host, with what moves it."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path

from domwarden.contract import Address, Host
from domwarden.embedded.machine import EmbeddedMachine
from domwarden.embedded.stream.receive import Receiving
from domwarden.embedded.stream.send import Sending


@dataclasses.dataclass
class Copy:
    """A machine and its present or last move in each direction."""

    host: Host
    machine: EmbeddedMachine
    sending: Sending | None = None
    receiving: Receiving | None = None
    incoming_migration: str = ""
    address: Address = dataclasses.field(default_factory=dict)
    server: asyncio.Server | None = None
    tasks: set[asyncio.Task[None]] = dataclasses.field(default_factory=set)

    def close(self) -> None:
        """Drop every connection and task."""
        if self.sending is not None:
            self.sending.close()
        if self.server is not None:
            self.server.close()
            self.server = None
        if "unix" in self.address:
            Path(self.address["unix"]).unlink(missing_ok=True)
        for task in tuple(self.tasks):
            task.cancel()

    def keep(self, task: asyncio.Task[None]) -> None:
        """Own a task until it ends."""
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

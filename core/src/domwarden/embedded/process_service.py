"""A service in a process of its own: it also knows what an earlier process lost."""

from __future__ import annotations

import asyncio
import dataclasses
import os
from pathlib import Path
from typing import Any

from domwarden.contract import Host, Observation, RunState
from domwarden.embedded.hypervisor import Hypervisor
from domwarden.embedded.remains import forget_domain, note_domain, read_remains
from domwarden.embedded.service import Call, Service

LOST = Observation(RunState.ENDED, "the hypervisor's process died")


class ProcessService(Service):
    """Notes its domains in the state directory; those it finds there at its start have ended."""

    def __init__(self, hypervisor: Hypervisor, state_directory: Path) -> None:
        super().__init__(hypervisor)
        self._state_directory = state_directory
        self._noted = read_remains(state_directory)
        self._lost = set(self._noted)
        self._noting = asyncio.Lock()

    async def call(self, call: Call) -> Any:
        """Carry out a call, then bring the notes up to date."""
        name = str(call.arguments.get("name", ""))
        if call.method == "observe" and name in self._lost:
            return dataclasses.asdict(LOST)
        if call.method in ("stop", "discard", "start", "listen"):
            self._lost.discard(name)
        try:
            result = await super().call(call)
        finally:
            await self._note(call.host)
        if call.method == "domains":
            return sorted({*result, *self._lost})
        return result

    async def _note(self, host: Host) -> None:
        # Two calls that end at once would write the same note, or leave the older view last.
        async with self._noting:
            present = set(self.hypervisor.domains(host)) | self._lost
            for name in sorted(present ^ self._noted):
                if name in present:
                    await asyncio.to_thread(note_domain, self._state_directory, name, os.getpid())
                else:
                    await asyncio.to_thread(forget_domain, self._state_directory, name)
            self._noted = present

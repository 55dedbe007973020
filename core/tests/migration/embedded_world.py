"""The two hosts of the tests over the embedded hypervisor, whose guests have real memory."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from domwarden.contract import Definition, RunState
from domwarden.embedded import EmbeddedEngine, Hypervisor
from domwarden.migration import Ports

from .world import MEMORY, World

#: A page that no program of the guest uses.
MARK_ADDRESS = 0x18_0000


class EmbeddedWorld(World):
    """Hypervisors that outlive every object but themselves."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.hypervisors = {name: Hypervisor() for name in self.hosts}

    def engine(self, host: str) -> EmbeddedEngine:  # type: ignore[override]  # another hypervisor's
        return EmbeddedEngine(self.hosts[host], self.hypervisors[host])

    def ports(self) -> Ports:
        return dataclasses.replace(
            super().ports(), engine=lambda _name, host: self.engine(host.name)
        )

    def definition(self, name: str = "web1") -> Definition:
        return dataclasses.replace(
            super().definition(name),
            engine="embedded",
            memory_bytes=0x20_0000,
            boot={"program": ["counter"], "period": 0.01},
        )

    async def boot(self, *, paused: bool = False) -> Definition:
        engine = self.engine("a")
        live = await engine.realize(self.definition(), self.room_of("a"))
        await engine.start(live, self.room_of("a"))
        copy = self.hypervisors["a"].copy(self.hosts["a"], "web1")
        copy.machine.memory.write(MARK_ADDRESS, MEMORY.encode())
        if paused:
            await engine.pause("web1")
        return live

    def states(self, name: str = "web1") -> dict[str, str]:
        found = {}
        for host in self.hosts.values():
            copy = self.hypervisors[host.name].find(host, name)
            found[host.name] = str(copy.machine.state if copy else RunState.ABSENT)
        return found

    def memory(self, host: str, name: str = "web1") -> str:
        copy = self.hypervisors[host].copy(self.hosts[host], name)
        return copy.machine.memory.read(MARK_ADDRESS, len(MEMORY)).decode()

    def close(self) -> None:
        for hypervisor in self.hypervisors.values():
            hypervisor.close()

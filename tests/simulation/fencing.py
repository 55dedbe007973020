"""A person who switches a host off for good, and takes back what was released to it."""

from __future__ import annotations

import asyncio
import random
from typing import Any

from domwarden.warden import Warden

from .process import Process
from .world import DOMAIN, HOSTS, World


class Fencer:
    """Looks after moves that wait for a host; whom they call fenced is off, and stays so.

    A careful person: they know whether the guest ran over there, and let no old copy of it go.
    """

    def __init__(self, world: World, rng: random.Random) -> None:
        self._world = world
        self._rng = rng
        #: A host that is off until the story is judged without it.
        self.gone = ""

    async def watch(self) -> None:
        """Look from time to time, and lose patience with a move that is released."""
        while True:
            await asyncio.sleep(self._rng.expovariate(1 / 3.0))
            if self._rng.random() < 0.5:
                self.fence()

    def lose_one(self) -> None:
        """Perhaps let a host be off for good, rather the one that a move waits for."""
        found, drawn = self.waiting(), self._rng.random()
        if found is not None and drawn < 0.5:
            self.gone = found[1]
        elif drawn < 0.05:
            self.gone = self._rng.choice(HOSTS)
        if self.gone and self._world.hosts[self.gone].up:
            self._world.power_off(self.gone)

    def waiting(self) -> tuple[str, str, str] | None:
        """Return source, destination and id of a move that was released and is not finished."""
        for name, host in self._world.hosts.items():
            for migration, destination in host.disk.released() if host.up else ():
                return name, destination, migration
        return None

    def fence(self) -> Process | None:
        """Switch off the host that a move waits for, and reclaim the domain."""
        found = self.waiting()
        if found is None:
            return None
        world, rng = self._world, self._rng
        source, destination, migration = found
        if world.hosts[destination].up:
            world.say(f"a person switches {destination} off")
            world.power_off(destination)
        process = self.reclaim(source, migration, [n for n in HOSTS if not world.hosts[n].up])
        if rng.random() < 0.5:  # or only when all is calm
            off_seconds = rng.uniform(0.0, 20.0)

            def boot(_: object) -> None:
                world.later(off_seconds, lambda: world.boot_if_off(destination))

            process.ended.add_done_callback(boot)
        return process

    def reclaim(self, source: str, migration: str, off: list[str], refusals: Any = None) -> Process:
        """Have a domain taken back, warm where its suspended copy is the newest state."""
        world = self._world
        cold = not world.oracle.standing(source) or self._rng.random() < 0.1
        if world.hosts[source].disk.has_fact(migration, "ran"):
            cold = self._rng.random() < 0.5  # whoever forgot it is told

        async def work(warden: Warden) -> None:
            nonlocal cold
            found = await warden.reclaimable(DOMAIN, cold=cold)
            if [refusal.code for refusal in found.refusals] == ["cold-start-only"]:
                cold = True
                found = await warden.reclaimable(DOMAIN, cold=cold)
            if found.refusals and found.done is None:
                world.say("reclaim refused: " + ", ".join(r.code for r in found.refusals))
                if refusals is not None:
                    refusals.extend(found.refusals)
            elif found.done is None:
                world.say(f"a person takes {DOMAIN} back{' cold' * cold}")
                await warden.reclaim(DOMAIN, cold=cold)

        process = world.verb(source, "reclaim", work, fenced=tuple(off))
        world.keep_off(off, process)

        def ended(_: object) -> None:
            if world.hosts[source].disk.has_fact(migration, "reclaimed"):
                world.oracle.last_host = source  # by that person's word

        process.ended.add_done_callback(ended)
        return process

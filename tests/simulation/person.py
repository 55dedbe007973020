"""A person who starts, moves, saves and restores the domain, sometimes by mistake."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from pathlib import Path

from domwarden.contract import RunState

from .fencing import Fencer
from .process import Process
from .world import DOMAIN, HOSTS, PATIENCE_SECONDS, World

_VERBS = {
    "migrate": 12,
    "save": 3,
    "restore": 3,
    "stop": 2,
    "start": 2,
    "start elsewhere": 2,
    "start fenced": 3,
    "reclaim": 2,
    "pause": 1,
    "resume": 1,
    "recover": 2,
}


class Operator:
    """Gives one command after another, and does not always wait for the last one."""

    def __init__(self, world: World, rng: random.Random) -> None:
        self._world = world
        self._rng = rng
        self._saves = 0
        self.fencer = Fencer(world, rng)
        #: Whether the domain may be paused on purpose.
        self.paused = False

    async def begin(self) -> None:
        """Start the domain before anything goes wrong."""
        await self._start("a").ended

    async def work(self) -> None:
        """Spend the day."""
        rng = self._rng
        verbs = rng.choices(list(_VERBS), list(_VERBS.values()), k=rng.choice([1, 2, 2, 3, 4]))
        # Every other day something is under way when the first trouble comes.
        verbs[:1] = rng.choice([verbs[:1], ["migrate"], ["migrate"], ["save", "restore", "save"]])
        for verb in verbs:
            process = self._do(verb)
            if process is None:
                continue
            patience = rng.choice([0.01, 0.1, 1.0, PATIENCE_SECONDS, PATIENCE_SECONDS])
            await asyncio.wait([process.ended], timeout=patience)

    def _do(self, verb: str) -> Process | None:
        place = self._place()
        others = [name for name in HOSTS if name != place]
        there = self._rng.choice(others)
        hosts = self._world.hosts
        both = hosts[place].up and hosts[there].up
        if not both and verb not in {"start fenced", "start elsewhere", "migrate", "reclaim"}:
            return None
        match verb:
            case "migrate" if self._world.hosts[place].up:
                return self._migrate(place, there)
            case "save":
                return self._save(place)
            case "restore":
                return self._restore(self._rng.choice(HOSTS))
            case "stop":
                return self._world.verb(place, "stop", lambda warden: warden.stop(DOMAIN))
            case "start":
                return self._start(place)
            case "start elsewhere" if self._world.hosts[there].up:
                return self._start(there)
            case "start fenced" if self._world.hosts[there].up:
                return self.start_past(there)
            case "reclaim":
                return self.fencer.fence()
            case "pause":
                self.paused = True
                return self._world.verb(place, "pause", lambda warden: warden.pause(DOMAIN))
            case "resume":
                return self._world.verb(place, "resume", lambda warden: warden.resume(DOMAIN))
            case "recover":
                host = self._rng.choice([place, there])
                return self._world.verb(host, "recover", lambda warden: warden.recover())
        return None

    def _place(self) -> str:
        """Where a person believes the domain to be."""
        oracle = self._world.oracle
        holding = oracle.holding()
        running = [host for host, state in holding.items() if state is RunState.RUNNING]
        return (running or list(holding) or [oracle.last_host or HOSTS[0]])[0]

    def _migrate(self, place: str, there: str) -> Process:
        request = self._world.request(place, "migrate", peer=there)
        return self._world.verb(
            place, "migrate", lambda warden: warden.migrate(DOMAIN, there), request=request
        )

    def _save(self, place: str) -> Process:
        if not self._saves or self._rng.random() < 0.5:  # or by mistake the name of the last one
            self._saves += 1
        path = self._world.saves / f"{self._saves}"
        request = self._world.request(place, "save", path=path)
        return self._world.verb(
            place, "save", lambda warden: warden.save(DOMAIN, path), request=request
        )

    def _restore(self, host: str) -> Process | None:
        made = sorted(self._world.saves.glob("[0-9]*"))
        if not made or not self._world.hosts[host].up:
            return None
        return self._restore_from(host, self._rng.choice(made))

    def _restore_from(self, host: str, path: Path, fenced: Sequence[str] = ()) -> Process:
        request = self._world.request(host, "restore", path=path)
        return self._world.verb(
            host, "restore", lambda warden: warden.restore(path), fenced=fenced, request=request
        )

    def _start(self, host: str) -> Process:
        definition = self._world.definition()
        return self._world.verb(host, "start", lambda warden: warden.start(definition))

    def start_past(self, host: str, path: Path | None = None) -> Process | None:
        """Name fenced what is off, and stays off as long as it takes: the person's word."""
        world = self._world
        off = [name for name, one in world.hosts.items() if not one.up]
        if not off:
            return None
        definition = world.definition()
        world.oracle.fenced.update(off)
        world.oracle.named_fenced.update((host, name) for name in off)
        if path is None:
            process = world.verb(
                host, "start", lambda warden: warden.start(definition), fenced=tuple(off)
            )
        else:
            process = self._restore_from(host, path, off)
        process.ended.add_done_callback(lambda _: world.oracle.fenced.subtract(off))
        world.keep_off(off, process)
        return process

    # -- after the last fault

    async def restore_any(self) -> None:
        """Try a save that may be old by now, which then must be refused."""
        process = self._restore(self._rng.choice(HOSTS))
        if process is not None:
            await process.ended

    async def restore_newest(self) -> bool:
        """Take the domain back from a save of its newest state, if there is one."""
        world = self._world
        newest = [path for path, n in world.oracle.saves.items() if n == world.oracle.newest]
        for path in newest:
            for host in self._up():
                past = self.start_past(host, Path(path))
                await (past or self._restore_from(host, Path(path))).ended
                if world.oracle.alive():
                    return True
        return False

    async def start_anywhere(self) -> bool:
        """Start it on the host that lets it be started."""
        for host in self._up():
            await (self.start_past(host) or self._start(host)).ended
            if self._world.oracle.alive():
                return True
        return False

    def _up(self) -> list[str]:
        return [name for name, host in self._world.hosts.items() if host.up]

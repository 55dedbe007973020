"""What goes wrong, drawn from the seed: at any point that a process passes, or between them."""

from __future__ import annotations

import asyncio
import contextvars
import random
from collections.abc import Callable, Iterable

from .fencing import Fencer
from .process import PROCESS, Process
from .world import HOSTS, World

#: Kinds of trouble, how often each is drawn, and whether the process that passes a point suffers.
_STRIKES = {
    "kill": 8,
    "power": 3,
    "power elsewhere": 2,
    "freeze": 4,
    "freeze elsewhere": 3,
    "kill elsewhere": 4,
    "part": 4,
    "cut": 4,
    "hypervisor": 2,
    "hang": 2,
    "commit": 6,
    "decision": 4,
    "late": 5,
    "disk": 2,
    "slow disk": 2,
    "fence": 3,
    "journal": 1,
}
#: Where the domain changes hands, and what is worst there: some seeds aim at these.
_CRITICAL = (
    "destination journal ready after",
    "source journal released before",
    "source journal released after",
    "destination journal granted before",
    "destination journal granted after",
    "destination engine activate after",
    "destination journal ran before",
    "destination journal ran after",
    "source save seal before",
    "file sync manifest.json before",
    "source save seal after",
)
_WORST = ("kill", "power", "hypervisor", "freeze", "part", "fence", "decision")


class Chaos:
    """At most a handful of strikes a seed, and a climate of small troubles."""

    def __init__(self, world: World, rng: random.Random, fencer: Fencer) -> None:
        self._world = world
        self._rng = rng
        self._fencer = fencer
        self.strikes_left = rng.choice([0, 1, 1, 2, 2, 3, 4, 6, 8])
        #: How likely a point is struck: late points must be reached, too.
        self._rate = rng.choice([0.01, 0.02, 0.03, 0.06, 0.15])
        kinds = list(_STRIKES)
        # Most seeds know a few kinds of trouble only, so that these meet each other.
        self._kinds = kinds if rng.random() < 0.4 else rng.sample(kinds, rng.randint(1, 4))
        #: Most seeds strike first at one point of many, each as likely as any other.
        self._aim = rng.randrange(100) if rng.random() < 0.7 else -1
        self._critical = rng.choice(_CRITICAL) if rng.random() < 0.2 else ""
        self._slow_disks: dict[str, float] = {}
        self._climate()
        world.strike = self._at
        usual = world.loop.disk_seconds

        def disk_seconds(process: Process | None) -> float:
            if process is not None and process.host.name in self._slow_disks:
                return rng.uniform(0.0, self._slow_disks[process.host.name])
            return usual(process)

        world.loop.disk_seconds = disk_seconds

    def _climate(self) -> None:
        rng, world = self._rng, self._world
        if rng.random() < 0.3:
            strays = world.strays
            strays.lost = rng.choice([0.0, 0.03, 0.1])
            strays.unanswered = rng.choice([0.0, 0.03, 0.1])
            strays.repeated = rng.choice([0.0, 0.1, 0.3])
            strays.late = rng.choice([0.0, 0.1, 0.4])
        if rng.random() < 0.2:
            world.network.slow_seconds = rng.choice([0.1, 1.0, 8.0])
        for host in world.hosts.values():
            if rng.random() < 0.15:
                host.engine_faults = rng.choice([0.02, 0.1, 0.3])
            if rng.random() < 0.2:
                host.part.troubles = {
                    "slow": rng.choice([0.05, 0.3]),
                    "moment": rng.choice([0.0, 0.1]),
                    "fail": rng.choice([0.0, 0.05, 0.2]),
                    "hang": rng.choice([0.0, 0.02, 0.1]),
                }

    async def weather(self) -> None:
        """Strike between the points, too."""
        while True:
            await asyncio.sleep(self._rng.expovariate(1 / 4.0))
            if self.strikes_left and self._rng.random() < self._rate * 3:
                host = self._world.hosts[self._rng.choice(HOSTS)]
                victims = _victims(host.processes)
                if victims:
                    self._strike(self._rng.choice(victims))

    def calm(self) -> None:
        """End every trouble."""
        world = self._world
        world.say("-- calm --")
        world.strike = lambda _point: None
        self.strikes_left, self._critical = 0, ""
        self._slow_disks.clear()
        world.strays.calm()
        world.network.slow_seconds = 0.0
        world.network.heal()
        for host in world.hosts.values():
            host.engine_faults = 0.0
            host.part.troubles = {}
            host.disk.next_commits.clear()
            host.disk.next_decision = ""
            host.disk.broken = False
            for process in list(host.processes):
                if process.held is not None:
                    world.loop.thaw(process)
            if host.begin_anew():
                world.oracle.lost(host.name)
            if not host.up and host.name != self._fencer.gone:
                world.boot(host.name)

    def _at(self, point: str) -> None:
        process = PROCESS.get()
        if process is None:
            return
        if point == self._critical:
            self._critical = ""
            self._strike(process, self._rng.choice(_WORST))
        if not self.strikes_left:
            return
        if self._aim >= 0:
            self._aim -= 1
            if self._aim < 0:
                self._strike(process)
                if self._rng.random() < 0.5:  # troubles come in pairs
                    self._aim = self._rng.randint(0, 15)
        elif self._rng.random() < self._rate:
            self._strike(process)

    def _strike(self, process: Process, kind: str = "") -> None:
        rng, world = self._rng, self._world
        drawn = rng.choices(self._kinds, [_STRIKES[kind] for kind in self._kinds])[0]
        kind = kind or drawn
        here = process.host
        other = world.hosts[rng.choice([name for name in HOSTS if name != here.name])]
        self.strikes_left = max(self.strikes_left - 1, 0)
        world.say(f"!! {kind} at {process}")
        match kind:
            case "kill":
                process.kill()
            case "power":
                self._power_off(here.name)
            case "power elsewhere":
                self._power_off(other.name)
            case "freeze":
                self._freeze(process)
            case "freeze elsewhere":
                self._elsewhere(other.processes, self._freeze)
            case "kill elsewhere":
                self._elsewhere(other.processes, Process.kill)
            case "part":
                world.network.part(here.name, other.name)
                self._later(40.0, lambda: world.network.heal(here.name, other.name))
            case "cut":
                world.network.cut(here.name, other.name)
            case "hypervisor":
                rng.choice([here, other]).kill_hypervisor()
            case "hang":
                self._freeze(rng.choice([here, other]).hypervisor_process)
            case "commit":
                victim = rng.choice([here, here, other])
                fault = rng.choice(["error", "error though done", "full"])
                victim.disk.next_commits += [""] * rng.choice([0, 0, 0, 1, 3])
                victim.disk.next_commits += [fault] * rng.choice([1, 1, 2])
            case "decision":
                here.disk.next_decision = rng.choice(["error", "error though done"])
            case "late":
                world.strays.replay()
            case "disk":
                victim = rng.choice([here, other])
                victim.disk.broken = True
                self._later(20.0, lambda: setattr(victim.disk, "broken", False))
            case "slow disk":
                victim = rng.choice([here, other])
                self._slow_disks[victim.name] = rng.choice([1.0, 10.0, 70.0])
                self._later(60.0, lambda: self._slow_disks.pop(victim.name, None))
            case "fence":
                # A person is no part of the process that passes here.
                contextvars.Context().run(self._fencer.fence)
            case "journal":
                victim = rng.choice([here, other])
                self._power_off(victim.name)
                world.lose_journal(victim.name, mark_too=rng.random() < 0.5)

    def _power_off(self, host: str) -> None:
        world = self._world
        if world.hosts[host].up:
            world.power_off(host)
            self._later(90.0, lambda: world.boot_if_off(host))

    def _freeze(self, process: Process) -> None:
        if process.alive and process.held is None:
            process.held = []
            self._later(60.0, lambda: self._world.loop.thaw(process))

    def _elsewhere(self, processes: Iterable[Process], act: Callable[[Process], None]) -> None:
        victims = _victims(processes)
        if victims:
            act(self._rng.choice(victims))

    def _later(self, most_seconds: float, what: Callable[[], None]) -> None:
        self._world.later(
            self._rng.choice([0.1, 0.5, 1.0]) * self._rng.uniform(0.0, most_seconds), what
        )


def _victims(processes: Iterable[Process]) -> list[Process]:
    return [process for process in processes if process.name != "hypervisor"]

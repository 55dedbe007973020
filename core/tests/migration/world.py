"""Two hosts for tests: their devices, their faults, and where a process is killed."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from domwarden.config import HostFile, Peer
from domwarden.contract import (
    Definition,
    DeviceEntry,
    Domain,
    Engine,
    EngineError,
    Expiry,
    Host,
    Job,
    JobContext,
    OutcomeUnknownError,
    Refusal,
    Step,
    TimerClock,
    WatchdogEntry,
    hookimpl,
)
from domwarden.migration import Hub, Ports
from domwarden.plugins import DomainRoom, Driver, Kind

from .toy_engine import Faults, ToyEngine

MEMORY = "precious"


class Killed(BaseException):
    """The process was killed here."""


class Cut:
    """Whether what was done came to where it was killed."""

    killed = False


@contextlib.contextmanager
def cut_short() -> Iterator[Cut]:
    """Let what may be killed be killed, alone or beside others."""
    cut = Cut()
    try:
        yield cut
    except Killed:
        cut.killed = True
    except BaseExceptionGroup as group:  # both ends may be at it, at once
        if group.subgroup(Killed) is None:
            raise
        cut.killed = True


Said = tuple[str, str, str, str]


class Recorder:
    """A device that has a job at every step and writes every call down."""

    contract = 1
    SCHEMA: Mapping[Any, Any] = {}

    def __init__(self, device: str, options: Mapping[str, Any], said: list[Said]) -> None:
        self.device = device
        self.options = options
        self.said = said

    def job(self, domain: Domain, hook: str, step: str = "") -> Job:
        async def run(context: JobContext) -> Any:
            self.said.append((domain.host.name, self.device, hook, step))
            context.report("half", done=1, total=2)
            wanted = self.options.get(f"{hook} {step}".strip())
            if isinstance(wanted, Exception):
                raise wanted
            if callable(wanted):
                return await wanted(domain, context)
            if hook in {"migrate", "receive"} or hook == "open":
                return {"from": domain.host.name, "step": step, "seen": domain.ticket}
            return None

        return Job(f"{hook} {step}", run, timeout_seconds=self.options.get("timeout", 5.0))

    @hookimpl
    def open(self, domain: Domain) -> Job | None:
        return self.job(domain, "open")

    @hookimpl
    def close(self, domain: Domain) -> Job | None:
        return self.job(domain, "close")

    @hookimpl
    def migrate(self, domain: Domain, step: Step) -> Job | Refusal | None:
        return None if step.name in self.options else self.job(domain, "migrate", step.name)

    @hookimpl
    def receive(self, domain: Domain, step: Step) -> Job | Refusal | None:
        return self.job(domain, "receive", step.name)

    @hookimpl
    def recover(self, domain: Domain, step: Step) -> Job | None:
        return self.job(domain, "recover", step.name)

    @hookimpl
    def finish(self, domain: Domain) -> Job | None:
        return self.job(domain, "finish")

    @hookimpl
    def clears(self, domain: Domain, blocker: Refusal) -> bool | None:
        return blocker.code in self.options.get("clears", ())

    @hookimpl
    def watchdog_fired(self, domain: Domain, expiry: Expiry) -> Job | None:
        return self.job(domain, "watchdog_fired")

    @hookimpl
    def describe(self, domain: Domain) -> Mapping[str, Any] | None:
        return {"device": self.device}


class ToyWatchdog:
    """A watchdog on the host's clock."""

    contract = 1
    SCHEMA: Mapping[Any, Any] = {}
    CLOCK = TimerClock.HOST


class World:
    """Two hosts a and b, each with its own journal and hypervisor, that know each other."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.faults = Faults()
        if os.environ.get("TOY_FAIL"):  # for another process: "HOST COMMAND"
            host, command = os.environ["TOY_FAIL"].split()
            self.faults.before[host, command] = EngineError("as the environment wants")
        self.said: list[Said] = []
        self.options: dict[str, dict[str, Any]] = {}
        self.points: list[str] = []
        self.kill_at: int | None = None
        self.hosts = {
            name: Host(name=name, state_directory=directory / name) for name in ("a", "b")
        }
        self.devices: tuple[str, ...] = ("disk", "net")
        self.watchdog: WatchdogEntry | None = None
        self.wrap_link: Callable[[str, Any], Any] = lambda _peer, link: link
        self.slept: list[float] = []
        self.supervised: list[tuple[str, str]] = []
        #: What happens when a point is passed.
        self.on_point: dict[str, Callable[[], None]] = {}
        #: (device, step) that have no job.
        self.skips: set[tuple[str, str]] = set()

    def host_file(self, name: str) -> HostFile:
        peers = {n: Peer(n, Path(n)) for n in self.hosts if n != name}
        return HostFile(self.hosts[name], peers)

    def engine(self, host: str) -> ToyEngine:
        return ToyEngine(self.hosts[host], self.faults)

    def room(self, definition: Definition, host: Host, engine: Engine) -> DomainRoom:
        devices: dict[str, tuple[Driver, object]] = {}
        for entry in definition.devices:
            driver = Driver(Kind.DEVICE, entry.driver, Recorder, "toy-devices", "1.2")
            skipped = {step: True for device, step in self.skips if device == entry.id}
            options = {**entry.options, **self.options.get(entry.id, {}), **skipped}
            devices[entry.id] = (driver, Recorder(entry.id, options, self.said))
        if definition.watchdog is not None:
            driver = Driver(Kind.WATCHDOG, "toy", ToyWatchdog, "toy-devices", "1.2")
            devices["watchdog"] = (driver, ToyWatchdog())
        return DomainRoom(Domain(definition, host), devices, engine.HOOKS)

    def at(self, point: str) -> None:
        if "under way" in point and point in self.points:
            return  # how often an engine reports is a matter of its speed
        index = len(self.points)
        self.points.append(point)
        if index == self.kill_at:
            raise Killed(point)
        if point in self.on_point:
            self.on_point.pop(point)()

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)

    def ports(self) -> Ports:
        return Ports(
            supervise=lambda host, name: self.supervised.append((host.name, name)),
            engine=lambda _name, host: ToyEngine(host, self.faults),
            room=self.room,
            host_file=lambda path: self.host_file(path.name),
            at=self.at,
            sleep=self.sleep,
        )

    def hub(self, host: str, **more: Any) -> Hub:
        return Hub(self.host_file(host), self.ports(), wrap_link=self.wrap_link, **more)

    async def boot(self, *, paused: bool = False) -> Definition:
        """Start the domain on host a, with something in its memory."""
        live = await self.engine("a").realize(self.definition(), self.room_of("a"))
        self.engine("a").write("web1", state="paused" if paused else "running", memory=MEMORY)
        return live

    def room_of(self, host: str) -> DomainRoom:
        return self.room(self.definition(), self.hosts[host], self.engine(host))

    def close(self) -> None:
        """Let go of the hypervisors; the toy's are files."""

    def definition(self, name: str = "web1") -> Definition:
        return Definition(
            name=name,
            uuid="u",
            engine="toy",
            memory_bytes=4,
            watchdog=self.watchdog,
            devices=tuple(DeviceEntry(device, "recorder") for device in self.devices),
        )

    def states(self, name: str = "web1") -> dict[str, str]:
        return {host: self.engine(host).read(name)["state"] for host in self.hosts}

    def running(self, name: str = "web1") -> list[str]:
        return [host for host, state in self.states(name).items() if state == "running"]

    def memory(self, host: str, name: str = "web1") -> str:
        return str(self.engine(host).read(name)["memory"])


__all__ = ["Killed", "OutcomeUnknownError", "Recorder", "ToyEngine", "World"]

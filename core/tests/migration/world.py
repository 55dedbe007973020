"""Two hosts for tests: a tiny honest hypervisor whose domains outlive every process."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from domwarden.config import HostFile, Peer
from domwarden.contract import (
    Action,
    Address,
    Armed,
    Definition,
    DeviceEntry,
    Domain,
    Engine,
    EngineError,
    Event,
    Expiry,
    Host,
    Incoming,
    Job,
    JobContext,
    Observation,
    OnProgress,
    OutcomeUnknownError,
    Outgoing,
    Progress,
    Reading,
    Refusal,
    Room,
    RunState,
    Step,
    TimerClock,
    WatchdogEntry,
    hookimpl,
)
from domwarden.migration import Hub, Ports
from domwarden.plugins import DomainRoom, Driver, Kind

MEMORY = "precious"


class Killed(BaseException):
    """The process was killed here."""


@dataclasses.dataclass
class Faults:
    """What shall go wrong in the hypervisors, by (host, command): raised once each."""

    before: dict[tuple[str, str], Exception] = dataclasses.field(default_factory=dict)
    after: dict[tuple[str, str], Exception] = dataclasses.field(default_factory=dict)


class ToyEngine(Engine):
    """A hypervisor whose every domain is a file; a guest is its memory, a string."""

    OUTLIVES = True

    def __init__(self, host: Host, faults: Faults | None = None) -> None:
        super().__init__(host)
        self.directory = host.state_directory / "hypervisor"
        self.faults = faults or Faults()

    def file(self, name: str) -> Path:
        return self.directory / f"{name}.json"

    def read(self, name: str) -> dict[str, Any]:
        try:
            data: dict[str, Any] = json.loads(self.file(name).read_text())
        except FileNotFoundError:
            return {"state": "absent", "memory": ""}
        return data

    def write(self, name: str, **changes: Any) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        new = {**self.read(name), **changes}
        partial = self.file(name).with_suffix(f".{os.getpid()}")
        partial.write_text(json.dumps(new))
        partial.rename(self.file(name))

    def fault(self, when: dict[tuple[str, str], Exception], command: str) -> None:
        error = when.pop((self.host.name, command), None)
        if error is not None:
            raise error

    async def realize(self, definition: Definition, room: Room) -> Definition:
        return dataclasses.replace(definition, live={"machine": "toy-1"})

    async def start(self, definition: Definition, room: Room, *, held: bool = False) -> None:
        self.fault(self.faults.before, "start")
        assert definition.live["machine"] == "toy-1"
        self.write(definition.name, state="paused" if held else "running", memory="boot")

    async def stop(self, name: str, *, graceful_seconds: float = 0.0) -> None:
        self.fault(self.faults.before, "stop")
        self.file(name).unlink(missing_ok=True)

    async def pause(self, name: str) -> None:
        assert self.read(name)["state"] == "running"
        self.write(name, state="paused")

    async def resume(self, name: str) -> None:
        assert self.read(name)["state"] == "paused"
        self.write(name, state="running")

    async def reset(self, name: str) -> None:
        self.write(name, memory="boot")

    async def observe(self, name: str) -> Observation:
        return Observation(RunState(self.read(name)["state"]))

    async def domains(self) -> Sequence[str]:
        return sorted(path.stem for path in self.directory.glob("*.json"))

    async def events(self, name: str) -> AsyncIterator[Event]:  # type: ignore[override]  # a generator
        return
        yield

    async def act(self, name: str, action: Action) -> None:
        raise EngineError("the toy has no actions")

    async def read_watchdog(self, name: str) -> Reading:
        self.fault(self.faults.before, "read_watchdog")
        return Reading(armed=Armed(self.read(name).get("armed", Armed.UNKNOWN)))

    def control(self, name: str, protocol: type) -> object | None:
        return None

    def outgoing(self, definition: Definition, migration: str) -> Outgoing:
        return ToyOutgoing(self, definition.name)

    def incoming(self, name: str, migration: str) -> Incoming:
        return ToyIncoming(self, name)


class ToyOutgoing(Outgoing):
    def __init__(self, engine: ToyEngine, name: str) -> None:
        self.engine = engine
        self.name = name

    async def blockers(self) -> Sequence[Refusal]:
        words = self.engine.read(self.name).get("blockers", [])
        return [Refusal(word, f"{word} is in the way", "remove it") for word in words]

    async def precopy(self, address: Address, progress: OnProgress) -> None:
        self.engine.fault(self.engine.faults.before, "precopy")
        progress(Progress(total_bytes=4, transferred_bytes=4))
        self.engine.write(self.name, address=dict(address))
        self.engine.fault(self.engine.faults.after, "precopy")

    async def suspend(self) -> None:
        self.engine.fault(self.engine.faults.before, "suspend")
        self.engine.write(self.name, state="suspended")
        self.engine.fault(self.engine.faults.after, "suspend")

    async def complete(self, progress: OnProgress) -> float | None:
        self.engine.fault(self.engine.faults.before, "complete")
        progress(Progress(total_bytes=4, transferred_bytes=4, iteration=2))
        copy = self.engine.read(self.name)
        path = copy["address"].get("file") or copy["address"]["stream"]
        await asyncio.to_thread(Path(path).write_text, copy["memory"])
        self.engine.write(self.name, state="departed")
        self.engine.fault(self.engine.faults.after, "complete")
        return 0.001

    async def abort(self, *, resume: bool) -> None:
        self.engine.fault(self.engine.faults.before, "abort")
        state = self.engine.read(self.name)["state"]
        if self.engine.read(self.name).get("stubborn"):
            raise EngineError("it does not come to itself")
        if state in {"suspended", "departed"}:
            self.engine.write(self.name, state="running" if resume else "paused")
        elif state not in {"running", "paused"}:
            raise EngineError(f"nothing to resume: {state}")


class ToyIncoming(Incoming):
    def __init__(self, engine: ToyEngine, name: str) -> None:
        self.engine = engine
        self.name = name

    async def listen(
        self, definition: Definition, room: Room, source: Address | None = None
    ) -> Address:
        self.engine.fault(self.engine.faults.before, "listen")
        assert self.engine.read(self.name)["state"] == "absent"
        assert definition.live["machine"] == "toy-1"
        stream = source["file"] if source else str(self.engine.directory / f"{self.name}.stream")
        self.engine.write(self.name, state="incoming", stream=stream)
        if source is None:
            await asyncio.to_thread(Path(stream).unlink, missing_ok=True)
        return {"stream": stream}

    async def received(self) -> None:
        self.engine.fault(self.engine.faults.before, "received")
        copy = self.engine.read(self.name)
        memory = await asyncio.to_thread(Path(copy["stream"]).read_text)
        self.engine.write(self.name, state="received", memory=memory)

    async def activate(self, *, run: bool) -> None:
        self.engine.fault(self.engine.faults.before, "activate")
        state = self.engine.read(self.name)["state"]
        if state not in {"received", "paused", "running"}:
            raise EngineError(f"cannot run what is {state}")
        if state != "running":
            self.engine.write(self.name, state="running" if run else "paused")
        self.engine.fault(self.engine.faults.after, "activate")

    async def discard(self) -> None:
        self.engine.fault(self.engine.faults.before, "discard")
        state = self.engine.read(self.name)["state"]
        assert state in {"incoming", "received", "absent", "ended"}, state
        self.engine.file(self.name).unlink(missing_ok=True)


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

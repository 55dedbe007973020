"""Three hosts that know each other, the real wardens on them, and all that they stand on."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import contextvars
import os
import random
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

from domwarden.config import HostFile, Peer
from domwarden.contract import (
    BrokenError,
    Definition,
    DeviceEntry,
    Domain,
    DomwardenError,
    End,
    Engine,
    Host,
    MigrationSettings,
    Movement,
)
from domwarden.journal import Journal, reserve, store
from domwarden.journal.lock import DomainLock
from domwarden.migration import Hub, Ports, wire
from domwarden.migration.answering import FIRST_TRY_SECONDS
from domwarden.migration.command import Reached
from domwarden.migration.patience import keep_trying
from domwarden.migration.request import Request, Verb
from domwarden.migration.savefile import SaveFile
from domwarden.migration.serving import Serving
from domwarden.migration.verbs import complete
from domwarden.plugins import DomainRoom, Driver, Kind
from domwarden.warden import Warden

from .devices import SimDevice
from .files import Files
from .hosts import UNIX_SECONDS, SimHost
from .loop import SimLoop
from .messages import Strays
from .network import Network
from .oracle import Oracle, watched
from .process import PROCESS, Killed, Process

HOSTS = ("a", "b", "c")
DOMAIN = "web1"
DEVICES = ("disk", "net")
#: How long a person waits for a command of theirs, at most.
PATIENCE_SECONDS = 40.0
_MOVES = {"migrate": Verb.MIGRATE, "save": Verb.SAVE, "restore": Verb.RESTORE}


class World:
    """One simulated world; :mod:`chaos` makes it suffer, an operator lives in it."""

    def __init__(self, directory: Path, loop: SimLoop, rng: random.Random) -> None:
        self.loop = loop
        self.rng = rng
        self._trace: list[tuple[float, Process | None, str]] = []
        self.oracle = Oracle(self.say)
        self.network = Network(loop, rng)
        self.strays = Strays(self)
        self.saves = directory / "saves"
        self.saves.mkdir()
        self.files = Files(self.saves, rng)
        self.hosts = {name: SimHost(name, directory, rng, self.oracle) for name in HOSTS}
        self.oracle.disks = {name: host.disk for name, host in self.hosts.items()}
        self.oracle.find = lambda name: self.hosts[name].hypervisor._copies[name, DOMAIN]
        #: Passed by every real process at every write, message and command.
        self.strike: Callable[[str], None] = lambda _point: None
        self.failures: list[str] = []
        self._kept_off: collections.Counter[str] = collections.Counter()
        #: Whose journal was lost: what it knew, nobody can say.
        self.forgetful: set[str] = set()
        self._rooms: dict[tuple[str, bool], DomainRoom] = {}

    def say(self, what: str) -> None:
        self._trace.append((self.loop.time(), PROCESS.get(), what))

    def history(self) -> tuple[str, ...]:
        """Tell what happened, a line each."""
        return tuple(f"{at - 1000:10.4f} {who or 'fate'}: {what}" for at, who, what in self._trace)

    # -- what the wardens get

    def ports(self) -> Ports:
        return Ports(
            engine=lambda _name, host: self.hosts[host.name].engine(),
            room=self._room,
            journal=lambda directory: Journal(
                directory, clock=self._clock, connect=self.hosts[directory.name].disk.connect
            ),
            supervise=lambda _host, _name: None,
            reach=self._reach,
            at=self._at,
            clock=self._clock,
        )

    def host_file(self, name: str) -> HostFile:
        peers = {n: Peer(n, command=("reach", n)) for n in self.hosts if n != name}
        return HostFile(self.hosts[name].host, peers)

    def hub(self, name: str) -> Hub:
        return Hub(self.host_file(name), self.ports(), wrap_link=self.strays.wrap)

    def warden(self, name: str, fenced: Sequence[str] = ()) -> Warden:
        warden = Warden(self.host_file(name), fenced=fenced, in_process=True, ports=self.ports())
        warden._hub._wrap_link = self.strays.wrap
        return warden

    def definition(self) -> Definition:
        return Definition(
            name=DOMAIN,
            uuid="5f4dcc3b-5aa7-4d1e-8f0f-9d3d3b6c1a2e",
            engine="embedded",
            memory_bytes=0x20_0000,
            boot={"resident": 4096},
            devices=tuple(DeviceEntry(device, "simulated") for device in DEVICES),
            migration=MigrationSettings(timeout_seconds=10.0),
        )

    def _clock(self) -> float:
        return UNIX_SECONDS + self.loop.time()

    def _at(self, point: str) -> None:
        self.say(point)
        process = PROCESS.get()
        if process is not None:
            if point == "destination journal ready after":
                self.oracle.ready.add(process.host.name)
            self.strike(point)
            if not process.alive:
                raise Killed(point)

    def sync(self, descriptor: Path) -> None:
        """Sync a file; whoever seals a save may die before each."""
        path = descriptor.readlink()
        if path.is_relative_to(self.saves):
            process = PROCESS.get()
            if process is not None and process is not process.host.hypervisor_process:
                self._at(f"file sync {path.name.rpartition('.')[2]} before")
            self.files.synced(path)

    def _room(self, definition: Definition, host: Host, engine: Engine) -> DomainRoom:
        # Its devices keep nothing; what pluggy asks of each object is a sixth of all work.
        key = (host.name, bool(definition.live))
        if key not in self._rooms:
            self._rooms[key] = self._new_room(definition, host, engine)
        return self._rooms[key]

    def _new_room(self, definition: Definition, host: Host, engine: Engine) -> DomainRoom:
        part = self.hosts[host.name].part
        driver = Driver(Kind.DEVICE, "simulated", SimDevice, "simulation", "1")
        made: dict[str, tuple[Driver, object]] = {
            entry.id: (driver, SimDevice(entry.id, part)) for entry in definition.devices
        }
        return DomainRoom(Domain(definition, host), made, engine.HOOKS)

    # -- processes

    def run(
        self, host: str, name: str, work: Callable[[], Awaitable[None]], verb: str = ""
    ) -> Process:
        """Start a process; what it raises and should not is noted."""
        process = self.hosts[host].process(name, verb)

        async def main() -> None:
            try:
                await work()
            except DomwardenError as error:
                self.say(f"{type(error).__name__}: {error}")
            except Exception as error:
                self.failures.append(f"{process} raised {type(error).__name__}: {error}")
                self.say(self.failures[-1])
                if not isinstance(error, OSError):
                    raise

        process.run(main())
        return process

    def verb(
        self,
        host: str,
        verb: str,
        work: Callable[[Warden], Awaitable[Any]],
        *,
        fenced: Sequence[str] = (),
        request: Request | None = None,
    ) -> Process:
        """Start an operator's command; a move has a watcher, as its driver's process has."""

        async def perform() -> None:
            try:
                async with self.warden(host, fenced) as warden:
                    await work(warden)
            except DomwardenError as error:
                self.say(f"{type(error).__name__}: {error}")
                if request is not None:
                    await keep_trying(lambda: self.hub(host), request.domain)

        process = self.run(host, verb, perform, verb)
        if request is not None:

            def ended(future: asyncio.Future[bool]) -> None:
                if future.result() and self.hosts[host].up:
                    self.run(host, f"watcher of {verb}", lambda: self._watch(host, request))

            process.ended.add_done_callback(ended)
        return process

    async def _watch(self, host: str, request: Request) -> None:
        """Do what a driver's watcher does when the driver died."""
        try:
            async with self.hub(host) as hub:
                died = BrokenError("the process that drove the move died")
                word = await complete(hub, request, died)
        except DomwardenError as error:
            word = error
        if isinstance(word, DomwardenError):
            await keep_trying(lambda: self.hub(host), request.domain)

    def request(self, host: str, verb: str, **what: Any) -> Request:
        return Request(self.host_file(host), _MOVES[verb], domain=DOMAIN, **what)

    def boot(self, host: str) -> None:
        """Switch a host on: what it left unfinished is settled, as a service does."""
        if self._kept_off[host]:
            self.loop.call_later(1.0, self.boot, host)
            return
        self.say(f"{host} boots")
        self.hosts[host].boot()
        self.network.power_back(host)

        async def recover() -> None:
            for _ in range(5):
                with contextlib.suppress(DomwardenError):
                    return await keep_trying(lambda: self.hub(host), "")
                await asyncio.sleep(5.0)
            return None

        self.run(host, "boot", recover)

    def keep_off(self, hosts: Sequence[str], process: Process) -> None:
        """Let nobody switch them on until a process has ended."""
        self._kept_off.update(hosts)
        process.ended.add_done_callback(lambda _: self._kept_off.subtract(hosts))

    def boot_if_off(self, host: str) -> None:
        if not self.hosts[host].up:
            self.boot(host)

    def later(self, seconds: float, what: Callable[[], None]) -> None:
        """Have fate do something: it is no process of any host, and outlives them."""
        self.loop.call_at(self.loop.time() + seconds, what, context=contextvars.Context())

    def power_off(self, host: str) -> None:
        self.say(f"{host} loses power")
        down = self.hosts[host]
        down.up = False
        self.network.power_lost(host)
        down.kill_hypervisor()
        for process in list(down.processes):
            process.kill()
        down.disk.power_lost()
        for path in self.files.power_lost(host):
            self.oracle.cut_short(path)

    def lose_journal(self, host: str, *, mark_too: bool) -> None:
        """Take all that a host without power had written down."""
        self.say(f"{host} loses its {'disk' if mark_too else 'journal'}")
        self.hosts[host].lose_journal(mark_too=mark_too)
        self.forgetful.add(host)
        if mark_too:
            self.oracle.lost(host)

    # -- the way to a peer

    async def _reach(self, peer: str, _command: Sequence[str]) -> Reached:
        here = PROCESS.get()
        assert here is not None
        host = self.hosts[peer]
        await asyncio.sleep(self.rng.uniform(0.001, 0.02))
        if not host.up or self.network.between(here.host.name, peer):
            (reader, writer), _ = self.network.streams(here, None, wire.LIMIT_BYTES)
            return SimReached(reader, writer)  # nobody answers, ever
        process = host.process("peer")
        near, far = self.network.streams(here, process, wire.LIMIT_BYTES)
        process.run(self._serve(peer, *far))
        return SimReached(*near)

    async def _serve(
        self, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Be ``domwarden peer``."""
        left: set[str] = set()
        try:
            hub = self.hub(name)
            async with hub:
                serving = Serving(hub, reader, writer)
                await serving.run()
                left = {
                    record.domain
                    for record in await hub.site.journal.unfinished()
                    if record.id in serving.moves
                    and record.role is End.DESTINATION
                    and record.movement is Movement.MIGRATE
                }
        except DomwardenError as error:
            self.say(f"{type(error).__name__}: {error}")
        finally:
            writer.close()
        if left:
            await asyncio.sleep(FIRST_TRY_SECONDS)
        for domain in left:
            with contextlib.suppress(DomwardenError):
                await keep_trying(lambda: self.hub(name), domain)


class SimReached(Reached):
    """A connection to a peer's process on a simulated host."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def last_words(self) -> str:
        return "it ended"

    async def end(self, patience_seconds: float) -> None:
        with contextlib.suppress(OSError):
            self.writer.write_eof()
        with contextlib.suppress(TimeoutError, OSError):
            async with asyncio.timeout(patience_seconds):
                while await self.reader.read(65536):
                    pass
        self.writer.close()


@contextlib.contextmanager
def simulated(world: World) -> Iterator[None]:
    """Put the simulation beneath the product: clocks, random names, locks of killed processes."""
    with contextlib.ExitStack() as stack:

        def patch(owner: Any, name: str, value: Any) -> None:
            stack.enter_context(mock.patch.object(owner, name, value))

        loop, rng = world.loop, world.rng
        patch(time, "monotonic", loop.time)
        patch(uuid, "uuid4", lambda: uuid.UUID(int=rng.getrandbits(128), version=4))
        # Memory is not filled for nothing, thousands of times.
        patch(reserve, "RESERVED_BYTES", 4096)
        patch(store, "LOG_BYTES", 4096)
        acquire = DomainLock.acquire

        def acquired(self: DomainLock) -> None:
            acquire(self)
            process = PROCESS.get()
            if process is not None:
                if not process.alive:
                    self.release()
                else:
                    process.at_end.append(self.release)  # as a kernel closes files

        patch(DomainLock, "acquire", acquired)
        patch(os, "fsync", lambda descriptor: world.sync(Path(f"/proc/self/fd/{descriptor}")))
        create = SaveFile.create

        def created(self: SaveFile) -> None:
            create(self)
            process = PROCESS.get()
            assert process is not None
            world.files.made(process.host.name, self)

        patch(SaveFile, "create", created)
        watched(world.oracle, patch)
        yield

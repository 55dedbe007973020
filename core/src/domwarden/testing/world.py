"""Two embedded hosts in this process, and a domain with an author's devices that really moves.

::

    async def test_it_moves(move_world):
        async with move_world({"cad": Device("licence", Licence, {"licence": "cad"})}) as world:
            await world.start()
            moved = await world.migrate()
            assert moved.arrived, moved
            assert moved.order("cad") == ["a migrate TEST", "b receive TEST", ...]

The hosts are ``a`` and ``b``; hypervisor, stream, journals and migration are the real ones.  Only
time is the kit's: the guest's clock advances with :meth:`MoveWorld.pass_seconds`.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, cast

from domwarden.config import HostFile, Peer
from domwarden.contract import (
    Definition,
    DeviceEntry,
    Domain,
    DomwardenError,
    EmbeddedControl,
    EmbeddedHooks,
    End,
    Engine,
    Host,
    MigrationSettings,
    RefusedError,
    RunState,
    Step,
    WatchdogEntry,
)
from domwarden.embedded import EmbeddedEngine, Hypervisor, ManualClock
from domwarden.migration import MoveFailedError, Ports, Timeline
from domwarden.migration.crash import KNOWN_POINTS
from domwarden.plugins import WATCHDOG_ID, Driver, Kind
from domwarden.testing.devices import accepted_options, accepted_settings, expect
from domwarden.testing.journey import Journey
from domwarden.testing.recording import SABOTEUR, Call, Recorder, RecordingRoom
from domwarden.warden import Plan, Warden

HOSTS = ("a", "b")
DOMAIN = "web1"
#: What a host may have of a domain without running it.
_GONE = {RunState.ABSENT, RunState.ENDED}


@dataclasses.dataclass(frozen=True)
class Device:
    """One device under test: the driver's name, its class, its options as in a domain file."""

    driver: str
    cls: Any
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)


class Killed(BaseException):
    """The process that drove the move died here."""


Settled = Callable[["str | None"], None]


class MoveWorld:
    """Two hosts and one domain; made by :func:`move_world`."""

    def __init__(
        self,
        directory: Path,
        devices: Mapping[str, Device],
        watchdog: Device | None,
        settings: Mapping[str, Mapping[str, Mapping[str, Any]]],
        settled: Settled,
    ) -> None:
        self.clock = ManualClock()
        self.recorder = Recorder()
        self.definition = _definition(devices, watchdog)
        self._devices = devices
        self._watchdog = watchdog
        self._settled = settled
        self._directory = directory
        self._killed_at = ""
        self._hypervisors = {host: Hypervisor(self.clock) for host in HOSTS}
        self.hosts = {
            name: Host(name, directory / name, _settings(settings.get(name, {}), devices, watchdog))
            for name in HOSTS
        }

    # -- what the domain does

    async def start(self) -> Journey:
        """Start the domain on host ``a``."""
        return await self._travel("a", lambda warden: warden.start(self.definition))

    async def migrate(
        self,
        *,
        fail_at: tuple[End, Step] | None = None,
        killed_at: str = "",
        twice: bool = False,
    ) -> Journey:
        """Take the domain from the host it is on to the other one.

        With ``fail_at`` that step of that end fails after every device's job was done, so that the
        move is given up.  With ``killed_at`` (one of ``domwarden.migration.crash.KNOWN_POINTS``)
        the driving process dies there, and a new one settles what it left.  With ``twice`` each
        job is run two times, as after a crash before its outcome was written down.
        """
        source = self.place()
        peer = HOSTS[1 - HOSTS.index(source)]
        return await self._travel(
            source,
            lambda warden: warden.migrate(DOMAIN, peer),
            fail_at=fail_at,
            killed_at=killed_at,
            twice=twice,
        )

    async def plan(self) -> Plan:
        """Say what would block a migration to the other host."""
        source = self.place()
        async with self._warden(source, Timeline()) as warden:
            made = await warden.plan(DOMAIN, HOSTS[1 - HOSTS.index(source)])
        self._settled(self.place())
        return made

    async def save(self, *, fail_at: Step | None = None) -> Journey:
        """Save the domain to :attr:`save_path`."""
        step = (End.SOURCE, fail_at) if fail_at is not None else None
        return await self._travel(
            self.place(), lambda warden: warden.save(DOMAIN, self.save_path), fail_at=step
        )

    async def restore(self, *, host: str = "a", fail_at: Step | None = None) -> Journey:
        """Restore the domain from :attr:`save_path`."""
        step = (End.DESTINATION, fail_at) if fail_at is not None else None
        return await self._travel(host, lambda warden: warden.restore(self.save_path), fail_at=step)

    async def stop(self) -> Journey:
        """Stop the domain where it is."""
        return await self._travel(self.place(), lambda warden: warden.stop(DOMAIN))

    async def pause(self) -> Journey:
        """Pause the domain where it is."""
        return await self._travel(self.place(), lambda warden: warden.pause(DOMAIN))

    async def resume(self) -> Journey:
        """Let the paused domain run."""
        return await self._travel(self.place(), lambda warden: warden.resume(DOMAIN))

    async def type(self, line: str) -> list[str]:
        """Type a line into the guest's shell (``help``, ``ping``); returns what it printed."""
        control = self._engine("", self.hosts[self.place()]).control(DOMAIN, EmbeddedControl)
        lines = await cast("EmbeddedControl", control).command("", "type", {"line": line})
        return [str(line) for line in lines]

    async def pass_seconds(self, seconds: float) -> None:
        """Let time pass for guests and hosts."""
        await self.clock.spend(seconds)

    # -- where it is

    @property
    def save_path(self) -> Path:
        """Where :meth:`save` puts the domain."""
        return self._directory / "saved"

    def calls(self) -> tuple[Call, ...]:
        """Return what devices were asked since the last journey (by :meth:`plan`)."""
        return self.recorder.take()

    def states(self) -> dict[str, RunState]:
        """Return what each host has of the domain."""
        return {
            name: self._hypervisors[name].observe(host, DOMAIN).state
            for name, host in self.hosts.items()
        }

    def place(self) -> str:
        """Return the one host that has the domain; raises BrokenPromiseError for none or both."""
        places = [host for host, state in self.states().items() if state not in _GONE]
        expect(len(places) == 1, f"one host has the domain: {self.states()}")
        return places[0]

    # -- inner works

    async def _travel(
        self,
        host: str,
        verb: Callable[[Warden], Awaitable[Any]],
        *,
        fail_at: tuple[End, Step] | None = None,
        killed_at: str = "",
        twice: bool = False,
    ) -> Journey:
        timeline, result, error = Timeline(), None, None
        before = self.states()
        self.recorder.fail_at, self.recorder.twice = fail_at, twice
        self._killed_at = KNOWN_POINTS[killed_at] if killed_at else ""
        try:
            async with self._warden(host, timeline) as warden:
                result = await verb(warden)
        except DomwardenError as raised:
            error = raised
        except (Killed, BaseExceptionGroup) as raised:
            if not _was_killed(raised):
                raise
            self.recorder.fail_at = None
            async with self._warden(host, timeline) as warden:
                result = await warden.recover()
        expect(not (killed_at and self._killed_at), f"the move passes the point {killed_at}")
        self.recorder.fail_at, self.recorder.twice, self._killed_at = None, False, ""
        self._check(before, error)
        return Journey(result, error, self.recorder.take(), timeline, self.states())

    def _check(self, before: Mapping[str, RunState], error: DomwardenError | None) -> None:
        """Check what is true after every journey, and what the author wants to be true."""
        states = self.states()
        alive = [host for host, state in states.items() if state not in _GONE]
        expect(len(alive) <= 1, f"no two hosts have the domain: {states}")
        if isinstance(error, RefusedError | MoveFailedError):
            expect(states == before, f"after a failed move all is as before: {states}, {before}")
        self._settled(alive[0] if alive else None)

    def _warden(self, host: str, timeline: Timeline) -> Warden:
        ports = Ports(
            engine=self._engine,
            room=self._room,
            host_file=lambda path: self._host_file(path.name),
            at=self._at,
            clock=self.clock.unix_seconds,
            sleep=self.clock.spend,
        )
        host_file = self._host_file(host)
        return Warden(host_file, observer=timeline, in_process=True, ports=ports)

    def _host_file(self, name: str) -> HostFile:
        peers = {other: Peer(other, Path(other)) for other in HOSTS if other != name}
        return HostFile(self.hosts[name], peers)

    def _engine(self, _name: str, host: Host) -> EmbeddedEngine:
        return EmbeddedEngine(host, self._hypervisors[host.name])

    def _at(self, point: str) -> None:
        if point == self._killed_at:
            self._killed_at = ""
            raise Killed(point)

    def _room(self, definition: Definition, host: Host, engine: Engine) -> RecordingRoom:
        """Put fresh objects of every device into a room, as after a restart of the process."""
        made: dict[str, tuple[Driver, object]] = {}
        for entry in definition.devices:
            cls = self._devices[entry.id].cls
            driver = Driver(Kind.DEVICE, entry.driver, cls, "under-test", "0")
            made[entry.id] = (driver, cls(entry.id, entry.options))
        watchdog = definition.watchdog
        if watchdog is not None and self._watchdog is not None:
            cls = self._watchdog.cls
            driver = Driver(Kind.WATCHDOG, watchdog.driver, cls, "under-test", "0")
            made[WATCHDOG_ID] = (driver, cls(WATCHDOG_ID, watchdog.options))
        made[SABOTEUR] = (Driver(Kind.DEVICE, "saboteur", object, "domwarden", "0"), object())
        domain = Domain(definition, host, controls=lambda kind: engine.control(DOMAIN, kind))
        room = RecordingRoom(domain, made, EmbeddedHooks)
        room.recorder = self.recorder
        return room


@contextlib.asynccontextmanager
async def move_world(
    directory: Path,
    devices: Mapping[str, Device],
    *,
    watchdog: Device | None = None,
    settings: Mapping[str, Mapping[str, Mapping[str, Any]]] | None = None,
    settled: Settled = lambda _host: None,
) -> AsyncIterator[MoveWorld]:
    """Make a world in an empty directory; ends its domain when the context is left.

    ``devices`` are the domain's by YAML id.  ``settings`` are the hosts' settings of the drivers:
    ``{"a": {"licence": {"directory": "/srv"}}}``.  ``settled`` is called after every journey with
    the host that has the domain, or None: assert there what must always be true.
    """
    world = MoveWorld(directory, devices, watchdog, settings or {}, settled)
    try:
        yield world
    finally:
        for name, host in world.hosts.items():
            engine = world._engine(name, host)
            await engine.stop(DOMAIN)
        await asyncio.sleep(0)


def _definition(devices: Mapping[str, Device], watchdog: Device | None) -> Definition:
    entry = None
    if watchdog is not None:
        entry = WatchdogEntry(
            watchdog.driver, options=accepted_options(watchdog.cls, watchdog.options)
        )
    return Definition(
        name=DOMAIN,
        uuid="5f4dcc3b-5aa7-4d1e-8f0f-9d3d3b6c1a2e",
        engine="embedded",
        memory_bytes=4 * 2**20,
        boot={"resident": 2**16},
        watchdog=entry,
        devices=tuple(
            DeviceEntry(name, device.driver, accepted_options(device.cls, device.options))
            for name, device in devices.items()
        ),
        migration=MigrationSettings(timeout_seconds=10.0),
    )


def _settings(
    settings: Mapping[str, Mapping[str, Any]],
    devices: Mapping[str, Device],
    watchdog: Device | None,
) -> dict[str, Mapping[str, Any]]:
    classes = {device.driver: device.cls for device in devices.values()}
    if watchdog is not None:
        classes[watchdog.driver] = watchdog.cls
    return {
        driver: accepted_settings(classes[driver], section) for driver, section in settings.items()
    }


def _was_killed(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return any(_was_killed(inner) for inner in error.exceptions)
    return isinstance(error, Killed)

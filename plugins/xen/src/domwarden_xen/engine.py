"""The engine: one method a verb, each handed to the module that knows how."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from domwarden.contract import (
    Action,
    Definition,
    Event,
    Host,
    Incoming,
    Misfit,
    Observation,
    Outgoing,
    Reading,
    Room,
    XenHooks,
)
from domwarden.contract import Engine as EngineContract

from . import (
    actions,
    configuration,
    ending,
    events,
    finding,
    locking,
    misfits,
    observe,
    pausing,
    reading,
    resetting,
    starting,
)
from . import realize as realizing
from .facts import Facts
from .files import Files
from .incoming import XenIncoming
from .outgoing import XenOutgoing
from .schema import HOST_SCHEMA, SCHEMA, HostOptions
from .xl import Xl


class XenEngine(EngineContract):
    """Xen on this host, driven through ``xl``."""

    contract: ClassVar[int] = 1
    SCHEMA: ClassVar[Mapping[Any, Any]] = SCHEMA
    HOST_SCHEMA: ClassVar[Mapping[Any, Any]] = HOST_SCHEMA
    HOOKS: ClassVar[type | None] = XenHooks
    DEVICE_HOOK: ClassVar[str] = "xl_config"
    ACTIONS: ClassVar[frozenset[Action]] = frozenset(Action)
    #: Xen only stops the domain; what comes then wakes it, and xl's monitor cannot.
    SUPERVISED: ClassVar[frozenset[Action]] = frozenset(
        {Action.NMI, Action.NOTIFY, Action.SHUTDOWN}
    )

    #: Xen drops the timers of a domain in every save and migration; Linux' driver arms a new one.
    REARM_SECONDS: ClassVar[float] = 15.0

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self._options = HostOptions(**host.settings("xen"))
        self._xl = Xl(self._options.xl)
        #: Where xl's monitors write.
        self._logs = Path(self._options.log_directory)
        self._facts: Facts | None = None

    @classmethod
    def misfits(cls, definition: Definition, options: Mapping[str, Any]) -> Sequence[Misfit]:
        """Return what no Xen could start."""
        return list(misfits.of(definition))

    async def realize(self, definition: Definition, room: Room) -> Definition:
        """Return the live definition: versions and what the guest knows its devices by."""
        return realizing.live(definition, room, await self._here())

    async def start(self, definition: Definition, room: Room, *, held: bool = False) -> None:
        """Start a live definition."""
        made = realizing.place(definition, room)
        files = self._files(definition.name)
        record = starting.record_of(definition, made)
        files.create()
        async with locking.changing(files):
            text = configuration.render(made)
            await starting.start(files, self._xl, record, text, held=held)

    async def stop(self, name: str, *, graceful_seconds: float = 0.0) -> None:
        """Ask the guest, then Xen."""
        files = self._files(name)
        if files.directory.is_dir():
            async with locking.changing(files):
                await ending.stop(files, self._xl, graceful_seconds)

    async def pause(self, name: str) -> None:
        """Stop the processors."""
        async with locking.changing(files := self._files(name)):
            await pausing.pause(files, self._xl)

    async def resume(self, name: str) -> None:
        """Let a paused domain run."""
        async with locking.changing(files := self._files(name)):
            await pausing.resume(files, self._xl)

    async def reset(self, name: str) -> None:
        """Take the domain apart and make it again: Xen has no reset button."""
        async with locking.changing(files := self._files(name)):
            await resetting.reset(files, self._xl)

    async def observe(self, name: str) -> Observation:
        """Look at one domain."""
        return await observe.observe(self._files(name), self._xl, self._logs)

    async def domains(self) -> Sequence[str]:
        """Return every domain that has a record here."""
        root = self.host.state_directory / "domains"
        return sorted(path.parent.parent.name for path in root.glob("*/xen/record.json"))

    def events(self, name: str) -> AsyncIterator[Event]:
        """Follow one domain's events."""
        return events.follow(self._files(name), self._xl, self._logs)

    async def act(self, name: str, action: Action) -> None:
        """Do what a watchdog's action would do."""
        async with locking.changing(files := self._files(name)):
            await actions.act(files, self._xl, action)

    async def read_watchdog(self, name: str) -> Reading:
        """Read the timer out of Xen's console, where the host's file lets us."""
        record, row = await finding.required(self._files(name), self._xl)
        if not self._options.debug_keys or not record.watchdog_action or record.device_model:
            return Reading()  # an emulated card's timer is none of Xen's
        return await reading.read(self._xl, row, self.host.state_directory / "xen-timers.json")

    def control(self, name: str, protocol: type) -> object | None:
        """Return None: xl has no connection that a device could speak on."""
        return None

    def outgoing(self, definition: Definition, migration: str, peer: str = "") -> Outgoing:
        """Return the source's half of a move."""
        return XenOutgoing(self._files(definition.name), self._xl, definition, migration, peer)

    def incoming(self, name: str, migration: str, peer: str = "") -> Incoming:
        """Return the destination's half of a move."""
        return XenIncoming(
            self._files(name), self._xl, migration, peer, self._options, realizing.place
        )

    async def _here(self) -> Facts:
        if self._facts is None:
            self._facts = Facts.of(await self._xl.info())
        return self._facts

    def _files(self, name: str) -> Files:
        return Files(self.host, name)

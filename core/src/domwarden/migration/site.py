"""One host as this process sees it: its journal, its engines, the devices of its domains."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from domwarden.contract import (
    Definition,
    DomwardenError,
    Engine,
    Host,
    PermanentError,
    RunState,
)
from domwarden.journal import HistoryKind, HistoryRecord, Journal
from domwarden.migration.command import Command, Reached
from domwarden.migration.crash import CrashPoint, from_environment
from domwarden.migration.dialling import Dialled
from domwarden.plan import EpochAnswer

if TYPE_CHECKING:
    from domwarden.config import Address, HostFile, Peer
    from domwarden.contract import Tls
    from domwarden.plugins import DomainRoom


def _installed_engine(name: str, host: Host) -> Engine:
    from domwarden.plugins import Kind, load  # here: stevedore costs start-up time

    engine: Engine = load(Kind.ENGINE, name).cls(host)
    return engine


def _installed_room(definition: Definition, host: Host, engine: Engine) -> DomainRoom:
    from domwarden.plugins import open_room  # as above

    return open_room(definition, host, engine)


def _read_host_file(path: Path) -> HostFile:
    from domwarden.config import load_host  # as above: voluptuous

    return load_host(path)


def _supervise(host: Host, name: str) -> None:
    from domwarden.watchdog.process import ensure  # as above

    ensure(host, name)


def _open_journal(directory: Path) -> Journal:
    return Journal(directory)


@dataclasses.dataclass(frozen=True)
class Ports:
    """Where a site gets what it needs: the installed plugins, the clock, the crash points."""

    engine: Callable[[str, Host], Engine] = _installed_engine
    room: Callable[[Definition, Host, Engine], DomainRoom] = _installed_room
    host_file: Callable[[Path], HostFile] = _read_host_file
    journal: Callable[[Path], Journal] = _open_journal
    #: Sees to it that somebody follows a guarded domain's expiries; may block for a moment.
    supervise: Callable[[Host, str], None] = _supervise
    #: Runs a peer's command, or dials its address; the peer's name comes first.
    reach: Callable[[str, Sequence[str]], Awaitable[Reached]] = Command.start
    dial: Callable[[str, Address, Tls], Awaitable[Reached]] = Dialled.start
    at: CrashPoint = dataclasses.field(default_factory=from_environment)
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


class Site:
    """One host: an async context manager over its journal and engines."""

    def __init__(self, host_file: HostFile, ports: Ports) -> None:
        self.host: Host = host_file.host
        self.peers: Mapping[str, Peer] = host_file.peers
        self.ports = ports
        self.journal = ports.journal(self.host.state_directory)
        self._engines: dict[str, Engine] = {}

    async def __aenter__(self) -> Site:
        await self.journal.__aenter__()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        for engine in self._engines.values():
            with contextlib.suppress(DomwardenError):  # its connection is gone anyway
                await engine.aclose()
        self._engines.clear()
        # Not at the end of a move, whose caller waits; a service does it with its next verb.
        with contextlib.suppress(DomwardenError):
            await self.journal.give_back_unneeded()
        await self.journal.aclose()

    def engine(self, name: str) -> Engine:
        """Return this host's engine of that name; raises DriverError."""
        if name not in self._engines:
            self._engines[name] = self.ports.engine(name, self.host)
        return self._engines[name]

    def room(self, definition: Definition) -> DomainRoom:
        """Return the devices of a domain; raises DriverError."""
        return self.ports.room(definition, self.host, self.engine(definition.engine))

    async def supervise(self, definition: Definition) -> None:
        """Let somebody follow a guarded domain's expiries, if it outlives this process."""
        if definition.watchdog is not None and self.engine(definition.engine).OUTLIVES:
            await asyncio.to_thread(self.ports.supervise, self.host, definition.name)

    async def keep_supervised(self, name: str) -> None:
        """Start the supervisor of a domain that runs here again, if it has died."""
        record = await self.journal.domain(name)
        if record is None or record.definition is None or record.definition.watchdog is None:
            return
        state = await self.state(name, record.definition.engine)
        if state in {RunState.RUNNING, RunState.PAUSED}:
            await self.supervise(record.definition)

    async def state(self, name: str, engine: str) -> RunState:
        """Look at one domain of this host."""
        return (await self.engine(engine).observe(name)).state

    async def epoch_answer(self, name: str, engine: str, nonce: str = "") -> EpochAnswer:
        """Say what this host knows of a domain and of the save of that nonce.

        Raises when it cannot tell, which is no answer.
        """
        record = await self.journal.domain(name)
        if record is not None and record.definition is not None:
            engine = record.definition.engine
        state = await self.state(name, engine)
        if state is RunState.UNKNOWN:
            raise PermanentError(f"{self.host.name} cannot see whether {name} runs there")
        epoch = record.epoch if record is not None else 0
        saved = bool(nonce) and await self.journal.saved(nonce) is not None
        return EpochAnswer(epoch, copy=state not in {RunState.ABSENT, RunState.ENDED}, saved=saved)

    def happened(self, domain: str, kind: HistoryKind, detail: str = "") -> HistoryRecord:
        """Make a record of something that happens to a domain now."""
        return HistoryRecord(domain, kind, self.ports.clock(), detail)

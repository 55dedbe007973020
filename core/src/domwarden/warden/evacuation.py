"""Moves every domain off a host, within limits, and says why each remaining one stays."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from domwarden.contract import (
    ConflictError,
    DomwardenError,
    OutcomeUnknownError,
    PermanentError,
    Refusal,
    RefusedError,
    RunState,
    TransientError,
)
from domwarden.journal import DomainRecord
from domwarden.migration import Link, Message, Moved, MoveFailedError, Outcome
from domwarden.plan import Evacuation, Haven, Leaver, Limits, Policy, Trip, next_trips
from domwarden.warden.warden import Warden

#: The domain is here, and may leave.
_MOVABLE = frozenset({RunState.RUNNING, RunState.PAUSED})
#: Nothing of the domain is here that could leave.
_GONE = frozenset({RunState.ABSENT, RunState.ENDED})
#: After such an end the domain is where it was, so that another host may be tried.
_BACK = frozenset({Outcome.RESUMED})

#: What a trip came to; None: it begins.
Ended = Moved | tuple[Refusal, ...] | None
#: Called with a trip as it begins, and with what it came to as it ends.
OnTrip = Callable[[Trip, Ended], None]
#: Has a domain taken to a host.
Migrate = Callable[[str, str], Awaitable[Moved]]


def unheard(_trip: Trip, _ended: Ended) -> None:
    """Follow nothing."""


def trip_as_json(trip: Trip, ended: Ended) -> dict[str, Any]:
    """Return what is heard of a trip as plain data."""
    return {
        "domain": trip.domain,
        "host": trip.host,
        "moved": ended.as_json() if isinstance(ended, Moved) else None,
        "refusals": [one.as_json() for one in ended] if isinstance(ended, tuple) else [],
    }


@dataclasses.dataclass(frozen=True)
class Evacuated:
    """What became of an evacuation: ``stays`` maps each domain that is left to every reason."""

    host: str
    moved: tuple[Moved, ...]
    stays: Mapping[str, tuple[Refusal, ...]]
    stopped: bool
    total_seconds: float

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class Departures:
    """What would leave a host, in order, and what would stay."""

    host: str
    trips: tuple[Trip, ...]
    stays: Mapping[str, tuple[Refusal, ...]]

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return dataclasses.asdict(self)


class Evacuator:
    """One evacuation of a warden's host; ``to`` names its destinations in order, none: any peer.

    ``migrate`` takes one domain to one host; by default the warden does.
    """

    def __init__(
        self,
        warden: Warden,
        *,
        to: Sequence[str] = (),
        limits: Limits | None = None,
        policy: Policy = Policy.LARGEST_FIRST,
        on_trip: OnTrip = unheard,
        migrate: Migrate | None = None,
    ) -> None:
        self._warden = warden
        self._migrate = migrate or warden.migrate
        self._hub = warden.hub
        self._to = tuple(dict.fromkeys(to or self._hub.site.peers))
        self._limits = limits or Limits()
        self._policy = policy
        self._on_trip = on_trip
        self._leavers: list[Leaver] = []
        self._havens: list[Haven] = []
        self._engines: set[str] = set()
        self._so_far = Evacuation()
        self._moved: list[Moved] = []
        self._reasons: dict[str, list[Refusal]] = {}
        self._silent: dict[str, Refusal] = {}
        self._stopping = False

    def stop(self) -> None:
        """Begin no more moves; those under way go on to their end."""
        self._stopping = True

    async def run(self) -> Evacuated:
        """Settle what earlier runs left, then move what can be moved."""
        begun = time.monotonic()
        await self._warden.recover()
        await self._look()
        running: set[asyncio.Task[None]] = set()
        async with asyncio.TaskGroup() as group:
            while True:
                for trip in self._next():
                    self._so_far = self._so_far.begun(trip)
                    self._on_trip(trip, None)
                    name = f"{trip.domain}/evacuate/{trip.host}"
                    running.add(group.create_task(self._take(trip), name=name))
                if not running:
                    break
                _, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        return Evacuated(
            host=self._hub.name,
            moved=tuple(self._moved),
            stays=self._stays(),
            stopped=self._stopping,
            total_seconds=time.monotonic() - begun,
        )

    async def departures(self) -> Departures:
        """Say what would leave and where to, asking both ends of each move; changes nothing."""
        await self._look()
        trips = []
        while planned := self._next():
            trip = planned[0]
            self._so_far = self._so_far.begun(trip)
            try:
                against = (await self._warden.plan(trip.domain, trip.host)).refusals
            except DomwardenError as error:
                against = (_failed(error, trip),)
            self._ended(trip, against)
            trips += [] if against else [trip]
        return Departures(self._hub.name, tuple(trips), self._stays())

    # -- what there is

    async def _look(self) -> None:
        strange = sorted(set(self._to) - set(self._hub.site.peers))
        if strange:
            known = ", ".join(sorted(self._hub.site.peers)) or "none"
            what = f"{', '.join(strange)} is no peer of {self._hub.name}"
            raise PermanentError(what, hint=f"its peers: {known}")
        for record in await self._hub.site.journal.domains():
            await self._consider(record)
        answers = await asyncio.gather(*(self._ask(host) for host in self._to))
        self._havens = [haven for haven in answers if haven is not None]

    async def _consider(self, record: DomainRecord) -> None:
        if record.definition is None:
            return
        name, definition = record.name, record.definition
        try:
            state = await self._hub.site.state(name, definition.engine)
        except DomwardenError as error:
            self._reasons[name] = [_reason("unclear", str(error), "see `domwarden status`")]
            return
        if state in _MOVABLE:
            self._leavers.append(Leaver(name, definition.memory_bytes))
            self._engines.add(definition.engine)
        elif state not in _GONE:
            what = f"{name} is {state} on {self._hub.name}"
            self._reasons[name] = [_reason("not-running", what, "see `domwarden status`")]

    async def _ask(self, host: str) -> Haven | None:
        """Ask a host for its free memory; None, and a reason, for one that does not answer."""
        try:
            link = await self._hub.link(host)
            free = [await _free_bytes(link, engine) for engine in sorted(self._engines)]
        except (DomwardenError, OSError) as error:
            remedy = f"bring {host} back, or name other hosts with --to"
            self._silent[host] = _reason("peer-silent", str(error), remedy, host)
            return None
        return Haven(host, min((found for found in free if found is not None), default=None))

    # -- what is done

    def _next(self) -> tuple[Trip, ...]:
        if self._stopping:
            return ()
        return next_trips(
            self._leavers, self._havens, self._so_far, limits=self._limits, policy=self._policy
        )

    async def _take(self, trip: Trip) -> None:
        try:
            moved = await self._migrate(trip.domain, trip.host)
        except RefusedError as error:
            self._ended(trip, error.refusals)
        except MoveFailedError as error:
            back = error.settled.outcome in _BACK
            self._ended(trip, (_failed(error, trip),), give_up=not back)
            await self._doubt(trip.host)
        except ConflictError as error:
            self._ended(trip, (_failed(error, trip, "busy"),), give_up=True)
        except DomwardenError as error:
            self._ended(trip, (_failed(error, trip),))
            await self._doubt(trip.host)
        else:
            self._moved.append(moved)
            self._so_far = self._so_far.ended(trip, arrived=True)
            self._on_trip(trip, moved)

    def _ended(self, trip: Trip, against: Sequence[Refusal], *, give_up: bool = False) -> None:
        arrived = not against
        self._so_far = self._so_far.ended(trip, arrived=arrived, give_up=give_up)
        if against:
            self._reasons.setdefault(trip.domain, []).extend(
                dataclasses.replace(refusal, host=refusal.host or trip.host) for refusal in against
            )
            self._on_trip(trip, tuple(against))

    async def _doubt(self, host: str) -> None:
        """See whether a host still answers, so that not every domain waits for one that is off."""
        if host in {haven.host for haven in self._havens} and await self._ask(host) is None:
            self._havens = [haven for haven in self._havens if haven.host != host]

    def _stays(self) -> dict[str, tuple[Refusal, ...]]:
        gone = {trip.domain for trip in self._so_far.arrived}
        stays = {name: list(reasons) for name, reasons in self._reasons.items() if name not in gone}
        for leaver in self._leavers:
            if leaver.domain in gone or leaver.domain in self._so_far.given_up:
                continue
            found = stays.setdefault(leaver.domain, [])
            if self._stopping:
                found.append(_reason("stopped", "the evacuation was stopped", "run it again"))
                continue
            found += self._silent.values()
            for haven in self._havens:
                if Trip(leaver.domain, haven.host) not in self._so_far.failed:
                    found.append(_no_room(leaver, haven))
            if not found:
                remedy = "name hosts with --to, or add peers to the host file"
                found.append(_reason("no-peer", "there is no host to go to", remedy))
        return {name: tuple(dict.fromkeys(reasons)) for name, reasons in sorted(stays.items())}


async def _free_bytes(link: Link, engine: str) -> int | None:
    """Ask a host for the memory that an engine has left; raises when it does not answer."""
    try:
        said = await link.send(Message("", "memory", {"engine": engine}))
    except (TransientError, OutcomeUnknownError):
        raise
    except DomwardenError:  # it has no such engine, or is older: the move's own test tells
        return None
    free: int | None = said["free_bytes"]
    return free


def _reason(code: str, reason: str, remedy: str, host: str = "") -> Refusal:
    return Refusal(code=code, reason=reason, remedy=remedy, host=host)


def _no_room(leaver: Leaver, haven: Haven) -> Refusal:
    free = (haven.free_bytes or 0) >> 20
    what = f"{haven.host} had {free} MiB free, {leaver.domain} needs {leaver.memory_bytes >> 20}"
    remedy = f"make room on {haven.host}, or name other hosts with --to"
    return _reason("no-room", what, remedy, haven.host)


def _failed(error: DomwardenError, trip: Trip, code: str = "failed") -> Refusal:
    remedy = error.hint or f"see `domwarden status {trip.domain}`"
    return _reason(code, error.message, remedy, trip.host)

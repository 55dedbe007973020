"""What a driver of a hypervisor must offer."""

from __future__ import annotations

import abc
import dataclasses
import enum
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol

from domwarden.contract.definition import Definition
from domwarden.contract.domain import Host
from domwarden.contract.misfit import Misfit
from domwarden.contract.refusals import Refusal
from domwarden.contract.watchdog import Action, Reading


class RunState(enum.StrEnum):
    """What an engine sees of one domain on its host."""

    #: The engine could not be asked.
    UNKNOWN = "unknown"
    #: No copy of the domain is here.
    ABSENT = "absent"
    RUNNING = "running"
    #: Stopped by an operator or by a watchdog's ``pause``; it may be resumed.
    PAUSED = "paused"
    #: A copy that waits for its incoming stream, or was started held; it never ran here.
    INCOMING = "incoming"
    #: An incoming copy with the whole stream received, paused, never ran here.
    RECEIVED = "received"
    #: Stopped by an outgoing migration that is not complete: the engine could resume it by itself.
    SUSPENDED = "suspended"
    #: The outgoing stream is complete; only an explicit command could make this copy run again.
    DEPARTED = "departed"
    #: The guest ended or the hypervisor's process died; its remains are here.
    ENDED = "ended"


@dataclasses.dataclass(frozen=True)
class Observation:
    """One look at one domain; ``detail`` is the engine's own word for it."""

    state: RunState = RunState.UNKNOWN
    detail: str = ""


class EventKind(enum.StrEnum):
    """What may happen to a running domain without our asking."""

    UNKNOWN = "unknown"
    WATCHDOG = "watchdog"
    RESET = "reset"
    SHUTDOWN = "shutdown"
    PAUSED = "paused"
    RESUMED = "resumed"
    PANICKED = "panicked"
    #: The hypervisor's process or our connection to it is gone; the iterator ends after it.
    GONE = "gone"


@dataclasses.dataclass(frozen=True)
class Event:
    """One event of a domain; ``at`` is Unix time in seconds, ``data`` the engine's own facts."""

    kind: EventKind
    at: float
    data: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Progress:
    """How far a pre-copy is; bytes, and bytes a second; ``None`` where the engine cannot tell."""

    total_bytes: int = 0
    transferred_bytes: int = 0
    remaining_bytes: int = 0
    rate_bytes_per_second: float | None = None
    dirty_rate_bytes_per_second: float | None = None
    expected_downtime_seconds: float | None = None
    iteration: int = 0

    @property
    def time_left_seconds(self) -> float | None:
        """Estimate when pre-copy converges; None when it does not at the present rates."""
        if self.rate_bytes_per_second is None:
            return None
        net = self.rate_bytes_per_second - (self.dirty_rate_bytes_per_second or 0.0)
        return self.remaining_bytes / net if net > 0 else None


OnProgress = Callable[[Progress], None]

#: How an outgoing stream finds its incoming end: plain data that ``Incoming.listen`` returned, or
#: ``{"file": path}`` for a save.
Address = Mapping[str, Any]


class Room(Protocol):
    """The devices of one domain, as its engine asks them."""

    def ask(self, hook: str, **arguments: Any) -> dict[str, Any]:
        """Call an engine's own hook; return answers that are not None by YAML id, in file order.

        ``domain`` is supplied; the watchdog answers under the id ``watchdog``.
        """


class Outgoing(abc.ABC):
    """The source's half of one move of one domain; holds no state of its own, rebuild it freely."""

    @abc.abstractmethod
    async def blockers(self) -> Sequence[Refusal]:
        """Return what the hypervisor itself says against moving this domain now."""

    @abc.abstractmethod
    async def precopy(self, address: Address, progress: OnProgress) -> None:
        """Copy the running domain until it is about to be suspended; raises EngineError.

        Bounded by the definition's ``migration.timeout_seconds``.  Raises GuestStoppedError when
        something else than this move (a watchdog's ``pause``, an operator) stopped a guest that
        ran: it must not run at its destination.
        """

    @abc.abstractmethod
    async def suspend(self) -> None:
        """Return once the domain is suspended; devices then move (START, SYNC).

        Raises GuestStoppedError like :meth:`precopy`, where that is noticed only now.
        """

    @abc.abstractmethod
    async def complete(self, progress: OnProgress) -> None:
        """Send the rest; return when this copy is DEPARTED and cannot resume by itself."""

    async def downtime_seconds(self) -> float | None:
        """Return how long the hypervisor itself says that the domain stood still, or None.

        Asked after :meth:`complete`, once nobody waits for the domain any more.
        """
        return None

    @abc.abstractmethod
    async def abort(self, *, resume: bool) -> None:
        """Give the move up and see the domain back: running if ``resume``, else paused.

        A guest that something else than the move stopped meanwhile is left so, as far as the engine
        can tell.  Idempotent.  Call it only once the incoming copy is known dead or still held.
        """


class Incoming(abc.ABC):
    """The destination's half of one move; holds no state of its own, rebuild it freely."""

    async def refusals(self, definition: Definition) -> Sequence[Refusal]:
        """Return what this hypervisor has against receiving that live definition; at TEST.

        Changes nothing.
        """
        return ()

    @property
    def arrives_at(self) -> str:
        """The address of this host at which streams arrive; empty for a way that stays on it.

        What is sent to another machine is encrypted unless ``host.streams`` says otherwise: the
        core has compared that at TEST (:func:`stream_at`), and each end sees to it by itself.
        """
        return ""

    @abc.abstractmethod
    async def listen(
        self, definition: Definition, room: Room, source: Address | None = None
    ) -> Address:
        """Create a held copy that waits for the stream; return where the source reaches it.

        With ``source`` (``{"file": path}``) it reads that save instead.  Where it may go on without
        its caller, in a process of the hypervisor's own, :meth:`Engine.observe` does not say ABSENT
        until it has ended (but INCOMING), and :meth:`discard` ends it: no copy comes later.
        """

    @abc.abstractmethod
    async def received(self) -> None:
        """Return once the whole stream has arrived; the copy is RECEIVED and paused.

        It is awaited while the source completes its own transfer.
        """

    @abc.abstractmethod
    async def activate(self, *, run: bool) -> None:
        """Take ownership; with ``run`` see it running, else leave it paused (it arrived paused).

        May be repeated, also on a copy that runs by now.
        """

    @abc.abstractmethod
    async def discard(self) -> None:
        """Destroy this copy and see it gone; idempotent. Never touches one that was activated."""


class Engine(abc.ABC):
    """One hypervisor on one host; every method is bounded in time and may raise EngineError."""

    contract: ClassVar[int] = 1
    #: The engine's own keys of a domain file (voluptuous).
    SCHEMA: ClassVar[Mapping[Any, Any]] = {}
    #: The engine's own section of the host file (voluptuous).
    HOST_SCHEMA: ClassVar[Mapping[Any, Any]] = {}
    #: A class with the engine's own hook specifications for devices, and the hook that a device
    #: must implement for this engine to know it.
    HOOKS: ClassVar[type | None] = None
    DEVICE_HOOK: ClassVar[str] = ""
    #: The watchdog actions this engine can perform.
    ACTIONS: ClassVar[frozenset[Action]] = frozenset()
    #: Those of them of which the hypervisor alone does only the beginning (it pauses); the
    #: supervisor completes them by ``act``.
    SUPERVISED: ClassVar[frozenset[Action]] = frozenset()
    #: Where the hypervisor drops a watchdog's timer in a move: how many seconds a guest that came
    #: to life again may take until its own system has armed a new one. 0: timers travel.
    REARM_SECONDS: ClassVar[float] = 0.0
    #: Whether its domains outlive the process that started them: then each move is driven by a
    #: process of its own, else by the caller's.
    OUTLIVES: ClassVar[bool] = True

    def __init__(self, host: Host) -> None:
        self.host = host

    @classmethod
    def misfits(cls, definition: Definition, options: Mapping[str, Any]) -> Sequence[Misfit]:
        """Return what this engine could not start of a domain as its file describes it.

        Asked when the file is checked, on any machine; ``options`` are the engine's own keys.  No
        I/O.
        """
        return ()

    @abc.abstractmethod
    async def realize(self, definition: Definition, room: Room) -> Definition:
        """Return the live definition this host would start; changes nothing."""

    @abc.abstractmethod
    async def start(self, definition: Definition, room: Room, *, held: bool = False) -> None:
        """Start a live definition; with ``held`` leave it paused before its first instruction.

        Where it may go on without its caller, :meth:`observe` does not say ABSENT until it has
        ended (but UNKNOWN), and :meth:`stop` ends it: the domain does not run later.
        """

    @abc.abstractmethod
    async def stop(self, name: str, *, graceful_seconds: float = 0.0) -> None:
        """End the domain and see its remains gone; ask the guest first that long. Idempotent."""

    @abc.abstractmethod
    async def pause(self, name: str) -> None:
        """Stop the domain's processors."""

    @abc.abstractmethod
    async def resume(self, name: str) -> None:
        """Let a paused domain run."""

    @abc.abstractmethod
    async def reset(self, name: str) -> None:
        """Reset the domain as its reset button would."""

    @abc.abstractmethod
    async def observe(self, name: str) -> Observation:
        """Look at one domain; never raises for one that is absent or cannot be asked."""

    @abc.abstractmethod
    async def domains(self) -> Sequence[str]:
        """Return the names of all domains of which a copy or remains are here."""

    @abc.abstractmethod
    def events(self, name: str) -> AsyncIterator[Event]:
        """Follow one domain's events until it is gone; ends with GONE."""

    @abc.abstractmethod
    async def act(self, name: str, action: Action) -> None:
        """Do to the domain what a watchdog's action would do (for escalation, and for ``dump``)."""

    @abc.abstractmethod
    async def read_watchdog(self, name: str) -> Reading:
        """Read the watchdog's timer from outside; ``unknown`` fields where that is not possible."""

    @abc.abstractmethod
    def control(self, name: str, protocol: type) -> object | None:
        """Return the typed handle of that protocol for the domain, or None. No I/O."""

    async def free_memory_bytes(self) -> int | None:
        """Return how much memory is left for domains here; None: not known, so nothing is refused.

        An evacuation sends here no more than that.
        """
        return None

    def console(self, name: str) -> Path | None:
        """Return the Unix socket of the domain's serial console, or None. No I/O."""
        return None

    @abc.abstractmethod
    def outgoing(self, definition: Definition, migration: str, peer: str = "") -> Outgoing:
        """Return the source's half of a move to that host, or of a save. No I/O."""

    @abc.abstractmethod
    def incoming(self, name: str, migration: str, peer: str = "") -> Incoming:
        """Return the destination's half of a move from that host, or of a restore. No I/O."""

    async def aclose(self) -> None:
        """Let go of connections; the domains live on. Idempotent."""
        return

"""What one end of a move knows: its engine's observation beside its journal's records."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from typing import Any

from domwarden.contract import RunState


class Decision(enum.StrEnum):
    """The source's one durable row about a move: the commit point."""

    #: The journal could not be asked.
    UNKNOWN = "unknown"
    #: There is no row yet.
    UNDECIDED = "undecided"
    #: The source gave the domain up to the destination (or to a save's file).
    RELEASED = "released"
    #: The move is off; it can never be released any more.
    ABORTED = "aborted"


class Desired(enum.StrEnum):
    """What this host's journal says about a domain."""

    UNKNOWN = "unknown"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"
    SAVED = "saved"
    #: It was released to another host.
    MOVED = "moved"


class Fact(enum.StrEnum):
    """Something durable about one end of one move; recorded once, never taken back."""

    UNKNOWN = "unknown"
    #: Destination: ``open`` jobs may have run and a held copy may wait for its stream.
    OPENED = "opened"
    #: Destination: the address that the held copy listens on.
    LISTENING = "listening"
    #: Destination: the whole stream and every device arrived; from here only the source decides.
    READY = "ready"
    #: Destination: it gave up before it was ready; later steps of this move are refused.
    GAVE_UP = "gave-up"
    #: Destination: the source's release, made durable here.
    GRANTED = "granted"
    #: Destination: the command that lets the copy run may have been sent.
    ACTIVATING = "activating"
    #: Destination: the engine refused to run the copy, which then was seen dead.
    NEVER_RAN = "never-ran"
    #: Destination: the copy was seen active here; source: it heard that from its destination.
    RAN = "ran"
    #: Destination: it saw its copy dead, which never ran, and gave the domain back;
    #: source: it took the domain back.
    RETURNED = "returned"
    #: Source: a person's word that the destination's host is gone for good took the domain back.
    RECLAIMED = "reclaimed"
    #: Source, reclaimed: the suspended copy is destroyed, because it fits its disks no longer.
    WRITTEN_OFF = "written-off"
    #: Destination: it heard that the domain was reclaimed, and never lets it run in this move.
    CONCEDED = "conceded"
    #: The domain's watchdog was seen armed before the move.
    ARMED = "armed"
    #: Source: something else than the move stopped the guest meanwhile, so an abort leaves it so.
    HALTED = "halted"
    #: Devices begun at START or SYNC are recovered.
    RECOVERED_LATE = "recovered-late"
    #: Source: the copy was let go again after an abort or a return.
    RESUMED = "resumed"
    #: Devices begun only at PREPARE are recovered.
    RECOVERED_EARLY = "recovered-early"
    FINISHED = "finished"
    #: Source: the suspended copy was destroyed, because the other one was seen running.
    STOPPED = "stopped"


@dataclasses.dataclass(frozen=True)
class View:
    """One end of one move at one moment.

    ``known`` says whether this end's journal has the move at all, ``done`` whether nothing is left
    to do here, ``running`` whether the domain ran (was not paused) when the move began.
    """

    state: RunState = RunState.UNKNOWN
    known: bool = True
    decision: Decision = Decision.UNDECIDED
    facts: frozenset[Fact] = frozenset()
    running: bool = True
    done: bool = False

    def has(self, *facts: Fact) -> bool:
        """Say whether every one of the facts is recorded."""
        return self.facts.issuperset(facts)

    def as_json(self) -> dict[str, Any]:
        """Return the view as plain data."""
        return {**dataclasses.asdict(self), "facts": sorted(self.facts)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> View:
        """Rebuild a view from what :meth:`as_json` returned."""
        return cls(
            state=RunState(data["state"]),
            known=bool(data["known"]),
            decision=Decision(data["decision"]),
            facts=frozenset(Fact(fact) for fact in data["facts"]),
            running=bool(data["running"]),
            done=bool(data["done"]),
        )

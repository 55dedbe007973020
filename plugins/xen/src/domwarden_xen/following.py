"""What happened to a domain between two looks at it, in the contract's words; pure."""

from __future__ import annotations

import time
from collections.abc import Iterable

from domwarden.contract import Action, Event, EventKind

from .monitor import End
from .notes import DOMID
from .record import Record
from .xl import CRASH, POWEROFF, REBOOT, SOFT_RESET, SUSPEND, WATCHDOG, Row

#: Key of an event's data: Xen's shut-down code, of events that are an end of a domid.
CODE = "code"

_KINDS = {
    POWEROFF: EventKind.SHUTDOWN,
    REBOOT: EventKind.RESET,
    CRASH: EventKind.PANICKED,
    WATCHDOG: EventKind.WATCHDOG,
    SOFT_RESET: EventKind.RESET,
}
#: With these, an expiry leaves the domain waiting to be woken.
_HALTS = frozenset({Action.PAUSE, Action.NMI, Action.SHUTDOWN, Action.NOTIFY})


class Follower:
    """Remembers what was told, so that a deed, its trace in a log and its look are one event."""

    def __init__(self, record: Record, reported: int = -1) -> None:
        self.record = record
        #: The highest domid whose end was told; domids grow.
        self.reported = reported
        self._domid: int | None = None
        self._halted: bool | None = None
        self._rebooted = False
        #: A domain that was made anew is paused until its maker lets it run; that is no event.
        self._fresh = False

    def deeds(self, events: Iterable[Event]) -> list[Event]:
        """Return what is news among our own deeds."""
        told: list[Event] = []
        for event in events:
            domid = int(event.data[DOMID])
            if event.kind is EventKind.RESET:
                told += self._reset(domid, event)
            elif event.kind is EventKind.SHUTDOWN:
                told += self.end(End(domid, POWEROFF), event.at)
            elif event.kind is EventKind.WATCHDOG:
                told.append(self._card(domid, event.at))
            elif self._halted is not (event.kind is EventKind.PAUSED):
                self._halted, self._fresh = event.kind is EventKind.PAUSED, False
                told.append(event)
        return told

    def _card(self, domid: int, at: float) -> Event:
        """Return the expiry of an emulated card, which is no end of the domain."""
        action = self.record.watchdog_action
        detail = f"the watchdog card of domain {domid} expired"
        return Event(EventKind.WATCHDOG, at, {DOMID: domid, "action": action, "detail": detail})

    def end(self, end: End, at: float | None = None) -> list[Event]:
        """Return what is news about an end; each domid ends once."""
        if end.domid <= self.reported or end.code == SUSPEND:
            return []
        self.reported = end.domid
        if self._domid is None:
            self._domid = end.domid  # a higher one that is here by now was made after it
        now = time.time() if at is None else at
        kind = _KINDS.get(end.code, EventKind.UNKNOWN)
        data: dict[str, object] = {DOMID: end.domid, CODE: end.code}
        if kind is EventKind.WATCHDOG:
            data["action"] = self.record.watchdog_action
            data["detail"] = f"Xen's watchdog of domain {end.domid} expired"
        told = [Event(kind, now, data)]
        if kind is EventKind.RESET:
            self._rebooted = True
        if kind is EventKind.WATCHDOG and self.record.watchdog_action in _HALTS:
            self._halted = True
            told.append(Event(EventKind.PAUSED, now, {DOMID: end.domid}))
        return told

    def look(self, row: Row) -> list[Event]:
        """Return what is news about the domain as Xen shows it."""
        now = time.time()
        told: list[Event] = []
        if row.shut_down and row.reason is not None:
            told += self.end(End(row.domid, row.reason), now)
        if self._domid is not None and row.domid != self._domid:
            told += self._reset(row.domid, Event(EventKind.RESET, now, {DOMID: row.domid}))
        self._domid = row.domid
        self._fresh = self._fresh and row.paused
        if row.shut_down or row.dying or self._fresh:
            return told
        if self._halted is not row.paused:
            if self._halted is not None:
                kind = EventKind.PAUSED if row.paused else EventKind.RESUMED
                told.append(Event(kind, now, {DOMID: row.domid}))
            self._halted = row.paused
        return told

    def _reset(self, domid: int, event: Event) -> list[Event]:
        if domid == self._domid:
            return []
        self._domid, self._halted, self._fresh = domid, False, True
        known, self._rebooted = self._rebooted, False
        return [] if known else [event]

"""From what Xen shows of a domain to the contract's words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from domwarden.contract import Action, EngineError, Observation, RunState

from . import aftermath, finding, locking, monitor, moving, remaking
from .files import Files
from .record import Record, boot_id
from .xl import CRASH, POWEROFF, REBOOT, SUSPEND, WATCHDOG, Row, Xl

#: An expiry leaves the domain shut down; with these actions that is only a halt.
_HALTS = frozenset({Action.PAUSE, Action.NMI, Action.SHUTDOWN, Action.NOTIFY})
_WORDS = {
    POWEROFF: "powered off",
    REBOOT: "rebooting",
    SUSPEND: "suspended",
    CRASH: "crashed",
    WATCHDOG: "its watchdog expired",
}


def judge(name: str, record: Record, rows: Sequence[Row]) -> Observation:
    """Return the state of a domain no move of which is under way, from all that Xen has."""
    copies = finding.ours(rows, name, record.uuid)
    if not copies:
        return Observation(RunState.ENDED, "Xen has no such domain any more")
    row = copies[0]
    detail = f"domain {row.domid} {row.flags}"
    if row.name == f"{name}{finding.INCOMING}":
        return Observation(RunState.INCOMING, f"{row.name}: {detail}")
    if row.name == f"{name}{finding.AWAY}":
        # xl gives this name when the stream is over there; only an explicit command resumes it.
        return Observation(RunState.DEPARTED, f"{row.name}: {detail}")
    if row.name == finding.NAMELESS:
        return Observation(RunState.ENDED, f"{detail}: it is half made, or half taken apart")
    if row.dying:
        return Observation(RunState.ENDED, f"{detail}: it is being taken apart")
    if row.shut_down:
        words = _WORDS.get(row.reason if row.reason is not None else -1, f"code {row.reason}")
        return Observation(_ended(record, row), f"{detail}: {words}")
    if not row.paused:
        return Observation(RunState.RUNNING, detail)
    if not record.activated:
        state = RunState.RECEIVED if record.received else RunState.INCOMING
        return Observation(state, detail)
    return Observation(RunState.PAUSED if record.ran else RunState.INCOMING, detail)


def _ended(record: Record, row: Row) -> RunState:
    if row.reason == SUSPEND:
        return RunState.SUSPENDED
    if row.reason is not None and "restart" in aftermath.wanted(record, row.reason):
        # Its monitor, or whoever follows it, is about to make it again.
        return RunState.UNKNOWN
    if row.reason == WATCHDOG and record.watchdog_action in _HALTS:
        return RunState.PAUSED
    return RunState.ENDED


def _unrecorded(name: str, rows: Sequence[Row]) -> Observation:
    """Return what is to be thought of a domain that this engine has no record of.

    One that Xen has all the same was started by hand, or its record was lost: it may be the domain
    itself, so it is not absent.
    """
    for row in rows:
        if row.name in finding.names(name) and not row.dying:
            return Observation(
                RunState.UNKNOWN,
                f"Xen has a domain {row.name} (domid {row.domid}) that was not started here",
            )
    return Observation(RunState.ABSENT)


async def observe(files: Files, xl: Xl, logs: Path) -> Observation:
    """Look at one domain; never raises for one that is absent or cannot be asked."""
    try:
        record = Record.load(files.record)
        if record is None:
            return _unrecorded(files.name, await xl.rows())
        if record.boot_id != boot_id():
            return Observation(RunState.ENDED, "this host has booted since")
        moved = await moving.observe(files, xl, record)
        if moved is not None:
            return moved
        rows = await xl.rows()
        seen = judge(files.name, record, rows)
    except EngineError as error:
        return Observation(RunState.UNKNOWN, str(error))
    if seen.state is RunState.ENDED and (locking.held(files) or monitor.alive(files)):
        # Between the old domid and the new one of a restart there is nothing to see.
        return Observation(RunState.UNKNOWN, f"{seen.detail}; it is being ended or made again")
    if not _finished(files.name, record, rows) and remaking.owed(files.name, record, logs):
        return Observation(RunState.UNKNOWN, f"{seen.detail}; it is to be made again")
    return seen


def _finished(name: str, record: Record, rows: Sequence[Row]) -> bool:
    return any(row.name != finding.NAMELESS for row in finding.ours(rows, name, record.uuid))

"""From QEMU's words for its state to the contract's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from domwarden.contract import EngineError, Observation, RunState

from . import moves, process
from .files import Files
from .monitor import Monitor
from .record import Record

#: An outgoing migration that QEMU has begun and not ended (qapi MigrationStatus).
UNDER_WAY = frozenset(
    {"setup", "active", "wait-unplug", "pre-switchover", "device", "cancelling", "postcopy-active"}
)
#: Run states that no command of ours makes: QEMU stopped the guest for what it did.
FAILED = frozenset({"watchdog", "guest-panicked", "io-error", "internal-error", "debug"})
STOPPED = FAILED | {"paused", "suspended"}
#: A question to a healthy QEMU is answered in a millisecond.
TIMEOUT_SECONDS = 3.0


def judge(
    record: Record, status: str, migration: Mapping[str, Any], *, saving: bool = False
) -> RunState:
    """Return the state for QEMU's run state and its answer to ``query-migrate``.

    ``saving``: the migration that is under way was told to have no return path, so it is a save,
    which stops the guest itself.
    """
    phase = str(migration.get("status", "none"))
    if status == "running":
        return RunState.RUNNING
    if status in ("inmigrate", "prelaunch", "preconfig"):
        return RunState.INCOMING
    if status == "shutdown":
        return RunState.ENDED
    if not record.activated:
        # Its stream is complete, but ownership was not taken; anything else is still on its way.
        return RunState.RECEIVED if phase == "completed" else RunState.INCOMING
    if status == "finish-migrate":
        # ``completed`` is final; QEMU says so a moment before it is ``postmigrate``.
        return RunState.DEPARTED if phase == "completed" else RunState.SUSPENDED
    if status == "postmigrate":
        return _after(record, phase)
    if status in STOPPED:
        return RunState.SUSPENDED if saving and phase in UNDER_WAY else RunState.PAUSED
    if status in ("save-vm", "restore-vm", "colo"):
        return RunState.RUNNING if status == "save-vm" else RunState.UNKNOWN
    return RunState.UNKNOWN


def _after(record: Record, phase: str) -> RunState:
    if phase == "completed":
        return RunState.PAUSED if record.returned else RunState.DEPARTED
    # A paused domain whose move failed stays in this run state: nobody but us resumes it.
    return RunState.SUSPENDED if phase in UNDER_WAY else RunState.PAUSED


async def observe(files: Files, control: Monitor) -> Observation:
    """Look at one domain; never raises for one that is absent or cannot be asked."""
    try:
        record = Record.load(files.record)
    except EngineError as error:
        return Observation(RunState.UNKNOWN, str(error))
    if record is None:
        return Observation(RunState.ABSENT)
    if process.alive(record, files.pidfile) is None:
        words = process.last_words(files.log, record.log_offset)
        return Observation(RunState.ENDED, words or "QEMU's process is gone")
    try:
        async with control.session(TIMEOUT_SECONDS, linger=True) as session:
            moved, status = await moves.look(session, timeout_seconds=TIMEOUT_SECONDS)
            saving = False
            if moved.get("status") in UNDER_WAY and record.activated:
                abilities = await session.execute("query-migrate-capabilities")
                states = {entry["capability"]: entry["state"] for entry in abilities}
                saving = not states.get("return-path", False)
        # An activation between our first look and our questions must not make RECEIVED of it.
        record = Record.load(files.record) or record
    except EngineError as error:
        if process.alive(record, files.pidfile) is None:
            words = process.last_words(files.log, record.log_offset)
            return Observation(RunState.ENDED, words or "QEMU's process is gone")
        return Observation(RunState.UNKNOWN, str(error))
    phase = moved.get("status")
    detail = status + (f", migration {phase}" if phase else "")
    return Observation(judge(record, status, moved, saving=saving), detail)

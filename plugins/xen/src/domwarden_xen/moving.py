"""What a move that is under way makes of a domain's state, at either end."""

from __future__ import annotations

from collections.abc import Sequence

from domwarden.contract import EngineError, Observation, RunState

from . import finding
from .files import Files
from .record import Record
from .shims import Shim
from .transport.note import Note, Phase
from .xl import SUSPEND, Row, Xl

SOURCE, DESTINATION = "source", "destination"
#: xl destroys its copy before it ends; that takes long for a large guest.
_DESTROY_SECONDS = 60.0
_HELD = frozenset({Phase.READY, Phase.GO, Phase.STARTED})
_ARRIVING = frozenset({Phase.BEGUN, Phase.LISTENING, Phase.STREAMING})


async def observe(files: Files, xl: Xl, record: Record) -> Observation | None:
    """Look at a domain that is on the move; None when it is not.  Raises EngineError."""
    if not record.activated:
        # The note first: what it says of the copy must not be younger than the copy.
        note = Shim(files, DESTINATION).note()
        if note is None:
            return None
        return arriving(note, finding.ours(await xl.rows(), files.name, record.uuid))
    note = Shim(files, SOURCE).note()
    if note is None or note.stale:
        return None
    return leaving(note, await xl.rows(), record.uuid)


def arriving(note: Note, copies: Sequence[Row]) -> Observation:
    """Return the state of a copy that nobody has granted to this host yet."""
    live = [row for row in copies if not row.dying and not row.shut_down]
    detail = f"domain {live[0].domid} {live[0].name} {live[0].flags}" if live else "no copy"
    detail = f"{detail}, move {note.phase}"
    if note.phase in _ARRIVING:
        if note.shim_lives or (note.phase is Phase.BEGUN and not note.shim[0] and not note.stale):
            return Observation(RunState.INCOMING, detail)
        return Observation(RunState.ENDED, f"{detail}: its stream is broken")
    if note.phase in _HELD and live and live[0].paused:
        return Observation(RunState.RECEIVED, detail)
    return Observation(RunState.ENDED, f"{detail}: {note.problem or 'its copy is gone'}")


def leaving(note: Note, rows: Sequence[Row], uuid: str) -> Observation | None:
    """Return the state of a copy that its move suspended; None for one that is not suspended."""
    row = next((row for row in rows if row.domid == note.domid and row.uuid == uuid), None)
    if row is None or row.dying or not row.shut_down or row.reason != SUSPEND:
        return None
    detail = f"domain {row.domid} {row.name} {row.flags}, move {note.phase}"
    if note.phase is Phase.GO:
        return Observation(RunState.DEPARTED, detail)
    complete = note.phase in (Phase.SENT, Phase.READY, Phase.TOLD, Phase.STARTED)
    if complete and not note.xl_lives:
        return Observation(RunState.DEPARTED, f"{detail}, xl is gone")
    return Observation(RunState.SUSPENDED, detail)


async def conclude(files: Files, xl: Xl, record: Record) -> None:
    """End what a move still has here, before every copy of the domain is destroyed.

    The xl of a copy that departed is told that the other one runs: it destroys its own.
    """
    for end, verb in ((SOURCE, "finish"), (DESTINATION, "discard")):
        shim = Shim(files, end)
        note = shim.note()
        if note is None:
            continue
        if note.stale:
            shim.forget()
            continue
        if end == DESTINATION and record.activated:
            shim.kill()  # all is said
            shim.forget()
            continue
        seen = await shim.tell(verb)
        if seen.answered and seen.phase in (Phase.STARTED, Phase.FAILED):
            await shim.let_xl_end(_DESTROY_SECONDS)
        elif end == SOURCE:
            # In the midst of its move: an xl whose domain is gone has nothing to resume.
            await _destroy(xl, note, record.uuid)
            await shim.tell("abort")
            await shim.let_xl_end(5.0)
        shim.kill()
        shim.forget()


async def _destroy(xl: Xl, note: Note, uuid: str) -> None:
    for row in await xl.rows():
        if row.domid == note.domid and row.uuid == uuid and not row.dying:
            try:
                await xl.destroy(row.domid)
            except EngineError:
                if any(left.domid == row.domid for left in await xl.rows()):
                    raise

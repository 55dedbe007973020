"""How the engine starts the shims of a move, commands them, and knows what they did."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import sys
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from domwarden.contract import EngineError, Host, Stream, stream_at

from .files import Files
from .transport import processes
from .transport.note import LAST, Note, Phase
from .transport.order import PYTHON, VARIABLE

#: A shim answers at once; it may be bringing a save to the disk, on a loaded host.
_ANSWER_SECONDS = 60.0
#: From its start until it listens: a Python that starts on a loaded host.
START_SECONDS = 60.0
_LOOK_SECONDS = 0.05


@dataclasses.dataclass(frozen=True)
class Seen:
    """One look at a shim: what it says, or what its note says when it is gone."""

    phase: Phase = Phase.UNKNOWN
    problem: str = ""
    port: int = 0
    bytes: int = 0
    pages: int = 0
    #: Whether the shim itself answered.
    answered: bool = False


class Shim:
    """One end's shim, seen from the process that drives the move."""

    def __init__(self, files: Files, end: str) -> None:
        self._path = files.directory / f"{end}.json"
        self._name = files.name
        self.end = end

    @property
    def path(self) -> Path:
        """Its durable note."""
        return self._path

    def note(self) -> Note | None:
        """Read its note; None when this end has no move; raises EngineError."""
        try:
            return Note.load(self._path)
        except ValueError as error:
            raise EngineError(str(error)) from error

    def begin(self, note: Note) -> None:
        """Note that it is asked for, before it is; raises EngineError."""
        try:
            note.save(self._path)
        except OSError as error:
            raise EngineError(f"{self._path}: {error.strerror}") from error

    async def tell(self, verb: str) -> Seen:
        """Give it a command; one that is gone does nothing, and its note answers."""
        return await self._ask({"do": verb})

    async def wait(self, phases: Collection[Phase], seconds: float, problem: str = "") -> Seen:
        """Wait at most so long until it leaves these phases, or has another problem."""
        asked = {"do": "wait", "while": sorted(phases), "seconds": seconds, "problem": problem}
        return await self._ask(asked)

    async def until_past(
        self, phases: Collection[Phase], seconds: float, pid: tuple[int, int] | None = None
    ) -> Seen:
        """Wait until it is past these phases, has a problem or is gone; raises EngineError.

        ``pid`` is the process that starts it: until it answers for the first time, that one counts.
        """
        deadline = time.monotonic() + seconds
        while True:
            left = deadline - time.monotonic()
            seen = await self.wait(phases, max(0.0, min(left, 5.0)))
            if seen.phase not in phases or seen.problem:
                return seen
            if not seen.answered:
                note = self.note()
                known = note is not None and note.shim_lives
                if not known and (pid is None or not processes.lives(*pid)):
                    return await self._ask({"do": "state"})  # its last words may just be written
                await asyncio.sleep(_LOOK_SECONDS)
            if left <= 0:
                raise EngineError(
                    f"{self._name}: the {self.end} end of the move is {seen.phase} for"
                    f" {seconds:g} s"
                )

    async def let_xl_end(self, seconds: float) -> bool:
        """Wait for the end of its xl, and kill it after that long; returns whether it had to."""
        note = self.note()
        deadline = time.monotonic() + seconds
        while note is not None and note.xl_lives:
            if time.monotonic() > deadline:
                processes.kill(*note.xl)
                return True
            await asyncio.sleep(_LOOK_SECONDS)
        return False

    def kill(self) -> None:
        """End a shim that nobody needs any more."""
        note = self.note()
        if note is not None and not note.stale and note.shim[0]:
            processes.kill(*note.shim)

    def forget(self) -> None:
        """Remove its note and its socket: this end has no move."""
        self._path.unlink(missing_ok=True)
        self._path.with_suffix(".sock").unlink(missing_ok=True)

    async def _ask(self, request: Mapping[str, Any]) -> Seen:
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                answer = await self._talk(request)
        except (OSError, ValueError, EOFError, TimeoutError):
            return self._as_noted()
        if "error" in answer:
            raise EngineError(f"{self._name}: {answer['error']}", command=str(request["do"]))
        return Seen(
            phase=Phase(answer["phase"]),
            problem=str(answer["problem"]),
            port=int(answer["port"]),
            bytes=int(answer["bytes"]),
            pages=int(answer["pages"]),
            answered=True,
        )

    async def _talk(self, request: Mapping[str, Any]) -> Any:
        # By its folder's descriptor: an absolute path may be longer than sun_path.
        directory = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            place = f"/proc/self/fd/{directory}/{self._path.stem}.sock"
            reader, writer = await asyncio.open_unix_connection(place)
        finally:
            os.close(directory)
        try:
            writer.write(json.dumps(request).encode() + b"\n")
            await writer.drain()
            line = await reader.readline()
        finally:
            writer.close()
        if not line:
            raise EOFError
        return json.loads(line)

    def _as_noted(self) -> Seen:
        note = self.note()
        if note is None:
            return Seen()
        return Seen(note.phase, note.problem, note.port)


def through(phase: Phase) -> bool:
    """Say whether nothing more happens by itself at that end."""
    return phase in LAST


def terms(host: Host, address: str, peer: str) -> Mapping[str, Any]:
    """Return what an order says of TLS: nothing where the stream stays here, or may be plain."""
    if stream_at(host, address) is not Stream.TLS:
        return {}
    files = host.credentials
    return {
        "tls": {
            "authority": str(files.authority),
            "certificate": str(files.certificate),
            "key": str(files.key),
            "peer": peer,
        }
    }


def start(
    files: Files, command: Sequence[str], order: Mapping[str, Any], more: Mapping[str, str]
) -> tuple[int, int]:
    """Start a process that outlives this one; returns its pid and start time.

    What it says goes to the domain's log.  ``more`` is added to its environment.  Raises
    EngineError when there is no such program.
    """
    environment = {
        **os.environ,
        "LC_ALL": "C",
        VARIABLE: json.dumps({**order, "note": str(files.directory / f"{order['end']}.json")}),
        PYTHON: sys.executable,
        **more,
    }
    log = os.open(files.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        pid = os.posix_spawnp(
            command[0],
            [*command],
            environment,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, log, 1),
                (os.POSIX_SPAWN_DUP2, log, 2),
            ],
            setsid=True,
        )
    except OSError as error:
        raise EngineError(f"{command[0]}: {error.strerror}", command=" ".join(command)) from error
    finally:
        os.close(log)
    identity = processes.identity(pid)
    # Somebody must reap it while we live; a daemon thread hinders nobody's end.
    threading.Thread(target=_reap, args=(pid,), name=f"reap-{pid}", daemon=True).start()
    return identity


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        pass  # somebody else did


def log_size(files: Files) -> int:
    """Return where the domain's log ends now."""
    try:
        return files.log.stat().st_size
    except FileNotFoundError:
        return 0


def last_words(files: Files, offset: int) -> str:
    """Return the last two lines of the log behind that place, as one."""
    try:
        with files.log.open("rb") as log:
            log.seek(offset)
            lines = log.read(65536).decode(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return "; ".join(lines[-2:])
